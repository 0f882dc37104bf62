"""An identity provider with its token, and the photos that it may name."""

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from syncsvc.intake.fetching import PhotoFetcher
from syncsvc.intake.photos import read_photo
from syncsvc.model.errors import FetchError, InputError
from syncsvc.model.people import PersonId, Photo
from syncsvc.store.people import Known
from syncsvc.web import create_app
from syncsvc.web.desk import RingBell, silence
from syncsvc.wiring import Service
from tests.vendors.photos import draw
from tests.web.asking import Client

TOKENS = {
    "entra": ("scim", "entra-has-this-secret-and-no-other"),
    "okta": ("scim", "okta-has-another-secret-of-its-own"),
    "ops": ("operator", "operators-are-no-identity-providers"),
}
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BASE = "https://faces.example.com/scim/v2"


class Album:
    """Every https URL leads to a drawn photo, the same one every time, but for the hosts that say otherwise."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self._ours = PhotoFetcher(())
        self.meanwhile: Callable[[], object] | None = None  # happens once, while a photo is being fetched

    def read(self, content: bytes) -> Photo:
        return read_photo(content)

    def fetch(self, url: str) -> Photo:
        self.fetched.append(url)
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            happens()
        if url.startswith("data:"):
            return self._ours.fetch(url)
        if url.startswith("https://away."):
            raise FetchError("the photo's host does not answer; try again later")
        if not url.startswith("https://"):
            raise InputError("a photo is a data: URI or an https URL", field="photo")
        return draw(number_at(url))


def number_at(url: str) -> int:
    """Which drawn photo the album has under this URL."""
    return zlib.crc32(url.encode()) % 100_000


def data_uri(number: int) -> str:
    photo = draw(number)
    return f"data:{photo.media_type};base64,{base64.b64encode(photo.content).decode()}"


class IdentityProvider:
    """Speaks SCIM with the application itself; every answer of its own kind is checked to be well-formed."""

    def __init__(self, service: Service, token: str | None = TOKENS["entra"][1], *, ring: RingBell = silence) -> None:
        self._service = service
        self._client = Client(create_app(service, ring))
        self._token = token

    def ask(
        self, method: str, path: str, said: Any = None, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """`said` is sent as application/scim+json."""
        sent = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        if said is not None:
            more["content"] = json.dumps(said)
            sent["Content-Type"] = "application/scim+json"
        answer = self._client.ask(method, f"/scim/v2{path}", headers={**sent, **(headers or {})}, **more)
        if answer.content:
            assert answer.headers["Content-Type"] == "application/scim+json"
        if answer.is_error:
            assert answer.json()["schemas"] == [ERROR]
            assert answer.json()["status"] == str(answer.status_code)
        return answer

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, said: Any, path: str = "/Users", **more: Any) -> httpx.Response:
        return self.ask("POST", path, said, **more)

    def put(self, user: str, said: Any, **more: Any) -> httpx.Response:
        return self.ask("PUT", f"/Users/{user}", said, **more)

    def patch(self, user: str, *operations: Any, **more: Any) -> httpx.Response:
        return self.ask("PATCH", f"/Users/{user}", {"schemas": [PATCH], "Operations": list(operations)}, **more)

    def delete(self, user: str, **more: Any) -> httpx.Response:
        return self.ask("DELETE", f"/Users/{user}", **more)

    def hire(self, name: str = "alice", *photos: str, **more: Any) -> str:
        """A new user by this name and externalId; the id."""
        faces = {"photos": [{"value": one} for one in photos]} if photos else {}
        answer = self.post({"schemas": [USER], "userName": name, "externalId": name, **faces, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def person(self, id_: str = "alice") -> Known | None:
        """What our own database says of a person."""
        with self._service.house.store.reading() as tx:
            return tx.people.get(PersonId(id_))

    def faces(self, id_: str = "alice") -> dict[str, str]:
        """Face id -> the picture's digest."""
        known = self.person(id_)
        return {str(face.id): str(face.digest) for face in known.faces} if known else {}

    def name(self, id_: str = "alice") -> str | None:
        with self._service.house.store.reading() as tx:
            known = tx.people.get(PersonId(id_))
            return tx.people.name(known) if known else None

    def owed(self, id_: str = "alice") -> list[tuple[str, int]]:
        """The verb and the number of faces of every delivery."""
        with self._service.house.store.reading() as tx:
            return [(one.verb, one.wanted) for one in tx.deliveries.of_person(PersonId(id_))]

    def departed(self, id_: str = "alice") -> bool:
        known = self.person(id_)
        return known is not None and known.departed_at is not None
