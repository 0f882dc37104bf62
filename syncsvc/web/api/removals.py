"""`/v1/removals`: departures that the removal guard holds back, and an operator's word for or against them."""

from typing import Annotated, Self

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, model_validator

from syncsvc.flow.approvals import Answered, HeldDeparture, approve, held_departures, refuse
from syncsvc.intake.dialects.words import Instant, Words
from syncsvc.intake.lines import person_id
from syncsvc.model.people import PersonId
from syncsvc.store.changes import Place
from syncsvc.web.api.parameters import AskedPage, Word, next_page, place_of
from syncsvc.web.callers import READS, Operator
from syncsvc.web.desk import TheService
from syncsvc.web.problems import problems

router = APIRouter(tags=["removals"])

MOST = 1000  # people named in one request


class _Place(BaseModel):
    received_at: Instant
    id: Word


_PLACE = TypeAdapter(_Place)


class RemovalsPage(BaseModel):
    """`next` is the address of the next page; null on the last one."""

    items: list[HeldDeparture]
    next: str | None


class ChosenPeople(Words):
    """Whose departures: of exactly these people, or of everybody who is held back at this moment."""

    people: list[Annotated[str, AfterValidator(person_id)]] | None = Field(default=None, min_length=1, max_length=MOST)
    all: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.all == (self.people is not None):
            raise ValueError('say whose: either {"people": [...]} or {"all": true}')
        return self

    @property
    def chosen(self) -> list[PersonId] | None:
        return None if self.people is None else [PersonId(one) for one in self.people]


class AnsweredPeople(BaseModel):
    """`people` is how many are answered for by this; of `not_held` nothing is held back, any more or ever."""

    people: int
    not_held: list[str]


@router.get("/removals", dependencies=[READS], responses=problems(401, 403, 422, 503))
def list_removals(service: TheService, request: Request, asked: Annotated[AskedPage, Query()]) -> RemovalsPage:
    """Departures that wait for an operator, since more people would leave a library in 24 hours than may."""
    mark = place_of(_PLACE, asked.cursor)
    after = None if mark is None else Place(mark.received_at, mark.id)
    page = held_departures(service.house, after=after, limit=asked.limit)
    place = None if page.next is None else _Place.model_validate(page.next, from_attributes=True)
    return RemovalsPage(items=list(page.items), next=next_page(request, _PLACE, place))


@router.post("/removals/approve", responses=problems(401, 403, 422, 503))
def approve_removals(service: TheService, caller: Operator, asked: ChosenPeople) -> AnsweredPeople:
    """Let these people go, from every library and past the guard, within a second or so. Safe to repeat."""
    return _answered(approve(service.house, asked.chosen, by=f"api:{caller.name}"))


@router.post("/removals/refuse", responses=problems(401, 403, 422, 503))
def refuse_removals(service: TheService, caller: Operator, asked: ChosenPeople) -> AnsweredPeople:
    """These people stay, as if nothing had been told of their departure. Safe to repeat."""
    return _answered(refuse(service.house, asked.chosen, by=f"api:{caller.name}"))


def _answered(answered: Answered) -> AnsweredPeople:
    return AnsweredPeople(people=answered.people, not_held=[str(one) for one in answered.not_held])
