"""`/v1/attention`: deliveries that a library refused, or that were given up; and trying them again."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, TypeAdapter

from syncsvc.flow.attention import Chosen, Mark, NeedsAttention, needing_attention, retry
from syncsvc.intake.dialects.words import Instant
from syncsvc.model.people import LibraryName
from syncsvc.store.attention import Stuck
from syncsvc.web.api.parameters import Asked, AskedPage, Word, next_page, place_of
from syncsvc.web.callers import OPERATES, READS
from syncsvc.web.desk import TheService
from syncsvc.web.problems import problems

router = APIRouter(tags=["attention"])


class _Mark(BaseModel):
    library: Word
    state: Stuck
    since: Instant
    id: int = Field(ge=0, le=2**63 - 1)


_MARK = TypeAdapter(_Mark)


class AttentionPage(BaseModel):
    """`next` is the address of the next page; null on the last one. `departures_held`: so many people's departures
    wait for an operator; `/v1/removals` shows them. `erasures_late`: so many erasures are open and will come too late
    unless somebody looks why; `/v1/erasures?state=open` shows them."""

    items: list[NeedsAttention]
    next: str | None
    departures_held: int
    erasures_late: int


class Reopened(BaseModel):
    reopened: int = Field(description="How many are owed again.")


class AskedAttention(Asked):
    """Which of them; all, where nothing is said."""

    library: Word | None = Field(default=None, description="Only those of this library.")
    reason: Word | None = Field(default=None, description="Only those with this reason.")
    since: Instant | None = Field(default=None, description="Only those that ended then or later.")

    def chosen(self) -> Chosen:
        return Chosen(None if self.library is None else LibraryName(self.library), self.reason, self.since)


class AskedAttentionPage(AskedAttention, AskedPage):
    pass


@router.get("/attention", dependencies=[READS], responses=problems(401, 403, 404, 422, 503))
def list_attention(
    service: TheService, request: Request, asked: Annotated[AskedAttentionPage, Query()]
) -> AttentionPage:
    """What somebody must look at, by library and age: whose face, in which library, why, and since when."""
    mark = place_of(_MARK, asked.cursor)
    after = None if mark is None else Mark(LibraryName(mark.library), mark.state, mark.since, mark.id)
    page = needing_attention(service.house, asked.chosen(), after=after, limit=asked.limit)
    place = None if page.next is None else _Mark.model_validate(page.next, from_attributes=True)
    return AttentionPage(
        items=list(page.items),
        next=next_page(request, _MARK, place),
        departures_held=page.departures_held,
        erasures_late=page.erasures_late,
    )


@router.post("/attention/retry", dependencies=[OPERATES], responses=problems(401, 403, 404, 422, 503))
def retry_attention(service: TheService, asked: Annotated[AskedAttention, Query()]) -> Reopened:
    """Owe all of these again, with every attempt before them; the same filters as the list's."""
    return Reopened(reopened=retry(service.house, asked.chosen()))
