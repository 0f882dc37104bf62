"""`GET /photos/{token}`: one photo, for a vendor that fetches it, for a short while."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from syncsvc.model.people import Photo
from syncsvc.web.desk import TheService

_LONGEST_TOKEN = 256  # ours have 96 characters; nothing longer is worth opening
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Robots-Tag": "noindex",
}

router = APIRouter()


@router.api_route("/photos/{token}", methods=["GET", "HEAD"], include_in_schema=False)
def photo(token: str, service: TheService) -> Response:
    """404 for whatever is not a valid, unexpired token of a photo that is still stored: it never says which."""
    digest = service.links.open(token) if len(token) <= _LONGEST_TOKEN else None
    if digest is not None:
        with service.house.store.reading() as tx:
            found = tx.photos.get(digest)
        if isinstance(found, Photo):
            return Response(found.content, media_type=found.media_type, headers=_HEADERS)
    raise HTTPException(HTTPStatus.NOT_FOUND, "there is nothing here")
