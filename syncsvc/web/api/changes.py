"""`/v1/changes/{id}`: what became of one change."""

import re
from typing import Annotated

from fastapi import APIRouter, Path

from syncsvc.flow.fate import ChangeView, change_view
from syncsvc.model.errors import NotFoundError
from syncsvc.web.api.parameters import decoded
from syncsvc.web.callers import READS
from syncsvc.web.desk import TheService
from syncsvc.web.problems import problems

router = APIRouter(tags=["changes"])

_ID = re.compile(r"[0-9a-f]{32}")


@router.get("/changes/{id}", dependencies=[READS], responses=problems(401, 403, 404, 422, 503))
def get_change(
    service: TheService, segment: Annotated[str, Path(alias="id", description="As it was answered.")]
) -> ChangeView:
    """One change, library by library."""
    change = decoded("id", segment, str)
    if not _ID.fullmatch(change):
        raise NotFoundError("no change has such an id; it is the 32 characters that came with the answer")
    return change_view(service.house, change)
