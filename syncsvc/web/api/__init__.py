"""The API for scripts: the same verbs as the webhooks', and what became of them."""

from fastapi import APIRouter, Depends, Response

from syncsvc.web.api import attention, changes, faces, libraries, people


async def _private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


router = APIRouter(prefix="/v1", dependencies=[Depends(_private)])
for _part in (people, faces, changes, libraries, attention):
    router.include_router(_part.router)

__all__ = ["router"]
