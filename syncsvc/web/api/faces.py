"""`/v1/people/{id}/faces`: one face of a person, given a new picture or taken away."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from syncsvc.intake.dialects.base import Photos
from syncsvc.intake.dialects.words import PhotoWords, Words, open_with
from syncsvc.model.changes import FaceDeleted, FaceReplaced, Told
from syncsvc.model.errors import InputError, NotFoundError
from syncsvc.model.people import Source
from syncsvc.store.people import Known
from syncsvc.web.api.parameters import TheFace, ThePerson
from syncsvc.web.api.telling import BEFORE, JSON, Telling, TheTelling, Written, json_body, tell
from syncsvc.web.desk import TheDesk
from syncsvc.web.problems import problems

router = APIRouter(tags=["faces"])


class FaceObject(Words):
    photo: PhotoWords


_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_BODY = json_body(FaceObject)
_BODY["requestBody"]["content"] |= {"image/jpeg": _PICTURE, "image/png": _PICTURE, "image/*": _PICTURE}


@router.put(
    "/people/{id}/faces/{face}",
    status_code=HTTPStatus.ACCEPTED,
    responses=BEFORE | problems(401, 403, 409, 413, 415, 422, 503),
    openapi_extra=_BODY,
)
def put_face(telling: TheTelling, desk: TheDesk, person: ThePerson, face: TheFace, response: Response) -> Written:
    """Give a face a new picture, in every library: the picture itself, or JSON that says where it is.

    A face that was not there is added, and so is a person. Somebody who has departed does not come back by it.
    """

    def told(known: Known | None) -> Told:
        if known is not None and known.departed_at is not None:
            words = f"{person} has departed; PUT /v1/people/... or the HR system brings somebody back"
            raise HTTPException(HTTPStatus.CONFLICT, words)
        return telling.told(FaceReplaced(person, face, _picture(telling, desk.service.photos)))

    return tell(desk, telling, response, person, told)


@router.delete(
    "/people/{id}/faces/{face}",
    status_code=HTTPStatus.ACCEPTED,
    responses=BEFORE | problems(401, 403, 404, 422, 503),
)
def delete_face(telling: TheTelling, desk: TheDesk, person: ThePerson, face: TheFace, response: Response) -> Written:
    """Take one face out of every library; the person's other faces stay."""

    def told(known: Known | None) -> Told:
        if known is None:
            raise NotFoundError(f"nobody is known as {person!r}; ids are case-sensitive, as the HR system sends them")
        if face not in {one.id for one in known.faces}:
            raise NotFoundError(
                f"{person!r} has no face {face!r}; there are {len(known.faces)}, see GET /v1/people/..."
            )
        return telling.told(FaceDeleted(person, face))

    return tell(desk, telling, response, person, told)


def _picture(telling: Telling, photos: Photos) -> Source:
    if telling.kind == JSON:
        said = telling.read(FaceObject)
        try:
            return open_with(photos)(said.photo)
        except InputError as error:
            raise InputError(f"photo: {error}", field="photo") from None
    if telling.kind.startswith("image/"):
        return photos.read(telling.body)
    words = "send the photo itself as image/jpeg or image/png, or application/json with base64, a url or a feature"
    raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, words)
