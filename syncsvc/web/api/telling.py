"""How a script's change is written down: once, however often it is sent."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException

from syncsvc.intake.dialects.words import Words, mistake_in
from syncsvc.model.changes import Change, Told
from syncsvc.model.people import PersonId
from syncsvc.store.people import Known
from syncsvc.web.callers import Operator
from syncsvc.web.desk import Desk
from syncsvc.web.pictures import checked

_KEY = (
    "Any text of your own for this request, such as a UUID. The same request with the same key counts once, for at "
    "least 30 days; the same key with another request is another change."
)

JSON = "application/json"

W = TypeVar("W", bound=Words)


class Shown(BaseModel):
    """What the libraries will say to one face's photo."""

    face: str
    passes: list[str]
    fails: dict[str, str] = Field(description="Library -> why it cannot take the photo.")
    words: str


class Written(BaseModel):
    """A change that is written down; `GET /v1/changes/{change}` says what becomes of it."""

    change: str
    effect: Literal["applied", "unchanged", "old_news", "waiting", "cancelled", "fetching", "held"] = Field(
        description="applied; unchanged: it says what is known; old_news: overtaken; waiting: for its moment; "
        "held: for an operator, since too many people would leave."
    )
    photos: list[Shown] = Field(description="One for each photo, unless the same request was written down before.")


BEFORE: dict[int | str, dict[str, Any]] = {200: {"model": Written, "description": "Written down before."}}


@dataclass(frozen=True, slots=True)
class Telling:
    """A request that tells of a change: who tells, what makes it the same as another, and its body."""

    source: str
    id: str
    kind: str  # the body's media type, in small letters
    body: bytes = field(repr=False)

    def told(
        self, change: Change, *, version: int | None = None, effective_at: datetime | None = None, cancels: bool = False
    ) -> Told:
        return Told(self.source, self.id, change, version, effective_at, cancels_departure=cancels)

    def read(self, words: type[W]) -> W:
        """The body, which is JSON of this shape. Raises InputError with the field; 415 for another media type."""
        if self.kind != JSON:
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the body as Content-Type: {JSON}")
        try:
            return words.model_validate_json(self.body)
        except ValidationError as error:
            raise mistake_in(error) from None


async def _telling(
    caller: Operator,
    request: Request,
    key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[!-~]+$", description=_KEY),
    ] = None,
) -> Telling:
    body = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    id_ = uuid.uuid4().hex if key is None else f"{key} {_fingerprint(request, kind, body)}"
    return Telling(f"api:{caller.name}", id_, kind, body)


TheTelling = Annotated[Telling, Depends(_telling)]


def tell(
    desk: Desk, telling: Telling, response: Response, person: PersonId, make: Callable[[Known | None], Told]
) -> Written:
    """Write down what `make` tells of a person, knowing who they are now: 202, or 200 where it was told before.

    What was told before is not looked at again: the person may have departed since, or a photo's address gone.
    """
    with desk.service.house.store.reading() as tx:
        before = tx.changes.find(telling.source, telling.id)
        known = tx.people.get(person)
    if before is not None:
        response.status_code = HTTPStatus.OK
        return Written.model_validate({"change": before.id, "effect": before.effect, "photos": []})
    told = make(known)
    photos = checked(desk, told.change)
    recorded = desk.record(told)
    if recorded.again:
        response.status_code = HTTPStatus.OK
    return Written.model_validate({"change": recorded.change, "effect": recorded.effect, "photos": photos})


def json_body(words: type[Words]) -> dict[str, Any]:
    """A route's `openapi_extra` for a body that it reads by itself; `web.docs` describes the words."""
    schema = {"$ref": f"#/components/schemas/{words.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def _fingerprint(request: Request, kind: str, body: bytes) -> str:
    parts = (request.method.encode(), request.url.path.encode(), request.scope["query_string"], kind.encode(), body)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]
