"""The API for scripts: the same verbs as the webhooks', and what became of them."""

from fastapi import APIRouter, Depends

from syncsvc.web.api import attention, changes, faces, libraries, people
from syncsvc.web.api.parameters import unstored

router = APIRouter(prefix="/v1", dependencies=[Depends(unstored)])
for _part in (people, faces, changes, libraries, attention):
    router.include_router(_part.router)

__all__ = ["router"]
