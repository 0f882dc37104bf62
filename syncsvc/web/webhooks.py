"""`POST /webhooks/{name}`: what HR systems tell, each in its own dialect."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from syncsvc.flow.record import Message as Telling
from syncsvc.flow.record import Recorded, record_message
from syncsvc.intake.dialects import Heard, Message, SignatureError
from syncsvc.model.errors import FetchError, InputError
from syncsvc.web.desk import Desk, TheDesk
from syncsvc.web.pictures import checked
from syncsvc.web.problems import problem, problems
from syncsvc.wiring import Sender, now

log = structlog.get_logger(__name__)
router = APIRouter(tags=["webhooks"])

_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"description": "Heard before, or what a challenge asks for."}}
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


async def _body(request: Request) -> bytes:
    """The bytes as they came: what is signed is not what a parser makes of it. `LargestBody` bounds them."""
    return await request.body()


@router.post(
    "/webhooks/{name}",
    status_code=HTTPStatus.ACCEPTED,
    response_model=None,
    responses=_ANSWERS | problems(401, 404, 413, 422, 503),
    openapi_extra=_BODY,
)
def hear(name: str, request: Request, body: Annotated[bytes, Depends(_body)], desk: TheDesk) -> JSONResponse:
    """Take in a change: 202 after the commit, 200 where the message was heard before."""
    sender = desk.service.senders.get(name)
    if sender is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such webhook; it is a [[webhook]] section's name")
    message = Message(dict(request.headers), body, dict(request.query_params))
    try:
        heard = sender.dialect.hear(message, desk.service.photos, now())
        photos = [shown for told in heard.told for shown in checked(desk, told.change)]
    except SignatureError as error:
        desk.service.metrics.webhook(name, "unsigned")
        log.warning("webhook not believed", webhook=name)
        return problem(HTTPStatus.UNAUTHORIZED, str(error))
    except (InputError, FetchError) as error:
        before = _heard_before(desk, sender, message)
        if before is None:
            desk.service.metrics.webhook(name, "invalid" if isinstance(error, InputError) else "photo_away")
            raise
        return before
    return _answer(desk, name, heard, photos)


def _answer(desk: Desk, name: str, heard: Heard, photos: Sequence[dict[str, Any]]) -> JSONResponse:
    recorded = _record(desk, name, heard)
    again = bool(recorded) and all(one.again for one in recorded)
    desk.service.metrics.webhook(name, "repeated" if again else "accepted" if recorded else "ignored")
    if heard.answer is not None:
        return JSONResponse(dict(heard.answer))
    if not recorded:
        return JSONResponse({"change": None}, HTTPStatus.ACCEPTED)  # an event that says nothing of anybody
    said: dict[str, Any] = {"change": recorded[0].change, "effect": recorded[0].effect}
    if len(recorded) > 1:
        said["changes"] = [one.change for one in recorded]
    if photos:
        said["photos"] = list(photos)
    return JSONResponse(said, HTTPStatus.OK if again else HTTPStatus.ACCEPTED)


def _record(desk: Desk, name: str, heard: Heard) -> list[Recorded]:
    if not heard.told and not heard.employees:
        return []
    recorded = record_message(desk.service.house, Telling(name, heard.id, heard.told, heard.employees))
    desk.ring([ring for one in recorded for ring in one.rings])
    return recorded


def _heard_before(desk: Desk, sender: Sender, message: Message) -> JSONResponse | None:
    """The answer to a message that was taken in before, and cannot be read any more: a photo's address may have gone.

    Its signature is good, or it would not have come so far.
    """
    id_ = sender.dialect.message_id(message)
    if id_ is None:
        return None
    with desk.service.house.store.reading() as tx:
        before = tx.changes.find(sender.dialect.name, id_)
    if before is None:
        return None
    desk.service.metrics.webhook(sender.dialect.name, "repeated")
    return JSONResponse({"change": before.id, "effect": before.effect})
