"""The API for scripts: the same verbs as the webhooks', and what became of them."""

from fastapi import APIRouter, Depends

from syncsvc.web.api import attention, changes, erasures, faces, libraries, people, removals
from syncsvc.web.api.parameters import unstored

router = APIRouter(prefix="/v1", dependencies=[Depends(unstored)])
for _part in (people, faces, changes, libraries, attention, erasures, removals):
    router.include_router(_part.router)

__all__ = ["router"]
