"""What the API's tests stand on: a script with a token, photos from memory, and what is written down."""

import base64
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
from sqlalchemy import select, update

from syncsvc.intake.photos import read_photo
from syncsvc.model.errors import FetchError
from syncsvc.model.people import Photo
from syncsvc.store import Store
from syncsvc.store.tables import changes, deliveries
from syncsvc.web.problems import MEDIA_TYPE
from tests.web.asking import Client

OPERATOR, READER, PROVIDER = "operator-" + "o" * 16, "reader-" + "r" * 16, "provider-" + "p" * 16
FEATURE = [0.25] * 512


@dataclass
class Album:
    """Photos behind URLs, without a network; a URL that it does not know is away just now."""

    photos: dict[str, Photo] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    def read(self, content: bytes) -> Photo:
        return read_photo(content)

    def fetch(self, url: str) -> Photo:
        self.fetched.append(url)
        if url not in self.photos:
            raise FetchError("the photo's server did not answer within 5 s; send it again later")
        return self.photos[url]


class Script:
    """Asks with a token."""

    def __init__(self, client: Client, token: str) -> None:
        self._client, self._token = client, token

    def ask(self, method: str, path: str, *, key: str | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}", **more.pop("headers", {})}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self._client.ask(method, path, headers=headers, **more)

    def get(self, path: str) -> httpx.Response:
        return self.ask("GET", path)

    def post(self, path: str) -> httpx.Response:
        return self.ask("POST", path)

    def hire(self, person: str, **faces: Photo) -> httpx.Response:
        """Somebody with these pictures, sent as base64."""
        told = [{"id": face, "photo": {"base64": _base64(photo.content)}} for face, photo in faces.items()]
        return self.ask("PUT", at(person), json={"faces": told})

    def put_photo(self, person: str, face: str, photo: Photo, *, key: str | None = None) -> httpx.Response:
        headers = {"Content-Type": "image/jpeg"}
        return self.ask("PUT", at(person, face), key=key, content=photo.content, headers=headers)


def at(person: str, face: str | None = None) -> str:
    """The address of a person or of one face, whatever their ids are made of."""
    one = f"/v1/people/{quote(person, safe='')}"
    return one if face is None else f"{one}/faces/{quote(face, safe='')}"


def faces_of(script: Script, person: str) -> list[str]:
    return [one["id"] for one in script.get(at(person)).json()["faces"]]


def inbox(store: Store) -> list[Any]:
    """Every change that was written down."""
    with store.reading() as tx:
        return list(tx._connection.execute(select(changes)))


def amend(store: Store, person: str, library: str = "gate", **values: Any) -> None:
    """Write into a delivery by hand."""
    mine = (deliveries.c.person_id == person) & (deliveries.c.library == library)
    with store.transaction() as tx:
        tx._connection.execute(update(deliveries).where(mine).values(values))


def row(store: Store, person: str, library: str = "gate") -> Any:
    mine = (deliveries.c.person_id == person) & (deliveries.c.library == library)
    with store.reading() as tx:
        return tx._connection.execute(select(deliveries).where(mine)).one()


def assert_problem(answer: httpx.Response, status: int, words: str, field: str | None = None) -> None:
    """It is a problem of this status, in these words, about this field."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    told = answer.json()
    assert (told["status"], told["type"]) == (status, "about:blank")
    assert words in told["detail"]
    assert told.get("field") == field


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
