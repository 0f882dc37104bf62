"""`/v1/libraries`: every library at a glance; stopping one, and letting it go on."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from syncsvc.flow import operate
from syncsvc.flow.views import LibraryView, status_view
from syncsvc.model.people import LibraryName
from syncsvc.web.api.parameters import decoded
from syncsvc.web.callers import OPERATES, READS
from syncsvc.web.desk import TheService
from syncsvc.web.problems import problems

router = APIRouter(tags=["libraries"])


class LibrarySwitched(BaseModel):
    name: str
    state: str
    changed: bool = Field(description="false: it was so already.")


def _name(segment: Annotated[str, Path(alias="name", description="The library's name.")]) -> LibraryName:
    return decoded("name", segment, LibraryName)


TheLibrary = Annotated[LibraryName, Depends(_name)]


@router.get("/libraries", dependencies=[READS], responses=problems(401, 403, 503))
def list_libraries(service: TheService) -> list[LibraryView]:
    """What is due, in flight and needs attention, the permits used, the breaker, the last reconciliation."""
    return status_view(service.house)


@router.post("/libraries/{name}/pause", dependencies=[OPERATES], responses=problems(401, 403, 404, 422, 503))
def pause_library(service: TheService, library: TheLibrary) -> LibrarySwitched:
    """Send nothing more to a library; what it is owed waits."""
    return LibrarySwitched(name=library, state="paused", changed=operate.pause(service.house, library))


@router.post("/libraries/{name}/resume", dependencies=[OPERATES], responses=problems(401, 403, 404, 422, 503))
def resume_library(service: TheService, library: TheLibrary) -> LibrarySwitched:
    """Let a paused or halted library work again."""
    return LibrarySwitched(name=library, state="active", changed=operate.resume(service.house, library))
