"""`GET /photos/{token}`: one photo as one library takes it, for a vendor that fetches it, for a short while."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from syncsvc.library.fitting import fit
from syncsvc.model.errors import RejectedError
from syncsvc.model.people import Photo
from syncsvc.store.links import Link
from syncsvc.web.desk import TheService
from syncsvc.wiring import Service

_LONGEST_TOKEN = 256  # ours have 150 at most; nothing longer is worth opening
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Robots-Tag": "noindex",
}

router = APIRouter()


@router.api_route("/photos/{token}", methods=["GET", "HEAD"], include_in_schema=False)
def photo(token: str, service: TheService) -> Response:
    """404 for whatever is not a valid, unexpired token of a photo that somebody still has: it never says which."""
    link = service.links.open(token) if len(token) <= _LONGEST_TOKEN else None
    found = _behind(service, link) if link is not None else None
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is nothing here")
    return Response(found.content, media_type=found.media_type, headers=_HEADERS)


def _behind(service: Service, link: Link) -> Photo | None:
    shelf = service.house.shelves.get(link.library)
    with service.house.store.reading() as tx:
        # Not where it is only kept because a library may have it: a link of before the departure ends with it.
        found = tx.photos.get(link.digest) if tx.photos.in_use(link.digest) else None
    if shelf is None or not isinstance(found, Photo):
        return None
    try:
        return fit(found, shelf.library.capabilities.photo)
    except RejectedError:  # nobody was given a link to this
        return None
