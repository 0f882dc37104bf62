"""`/v1/people`: who is known and what every library holds of them; departures, upserts, and once more."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter

from syncsvc.flow import operate
from syncsvc.flow.explain import Explained, explain
from syncsvc.flow.views import PersonView, person_view
from syncsvc.intake.dialects.words import Instant, PersonWords, PhotoWords, UpsertedWords, change_of, open_with
from syncsvc.intake.lines import person_id
from syncsvc.model.changes import Departed, Told
from syncsvc.model.errors import InputError, NotFoundError
from syncsvc.model.people import PersonId
from syncsvc.store.census import Counted
from syncsvc.store.people import Known
from syncsvc.web.api.parameters import Asked, AskedPage, ThePerson, next_page, place_of
from syncsvc.web.api.telling import BEFORE, TheTelling, Written, json_body, tell
from syncsvc.web.callers import OPERATES, READS
from syncsvc.web.desk import TheDesk, TheService
from syncsvc.web.problems import problems

router = APIRouter(tags=["people"])

_LAST: TypeAdapter[PersonId] = TypeAdapter(Annotated[PersonId, AfterValidator(person_id)])
_PREFIX = "data.person."


class PeoplePage(BaseModel):
    """`next` is the address of the next page; null on the last one."""

    people: list[Counted]
    next: str | None


class PersonObject(PersonWords[PhotoWords]):
    """A person as `person.upserted` tells of them. `faces` given: exactly these; absent: unchanged.

    `version` orders what your token tells of this person: an older one is old news. `cancels_departure`: a departure
    that still waits for its moment is off.
    """

    id: str = Field(default="", description="If given, the one in the address.")
    cancels_departure: bool = False


class AskedMoment(Asked):
    effective_at: Instant | None = Field(
        default=None, description="The departure waits for this moment, which names its time zone."
    )


class Resynced(BaseModel):
    libraries: list[str] = Field(description="They are read first, then brought to what they should hold.")


@router.get("/people", dependencies=[READS], responses=problems(401, 403, 422, 503))
def list_people(service: TheService, request: Request, asked: Annotated[AskedPage, Query()]) -> PeoplePage:
    """Everybody who was ever told of, by id, a page at a time; `faces` is how many they should have."""
    after = place_of(_LAST, asked.cursor)
    with service.house.store.reading() as tx:
        found = tx.census.page(after=after, limit=asked.limit + 1)
    last = found[asked.limit - 1].id if len(found) > asked.limit else None
    return PeoplePage(people=found[: asked.limit], next=next_page(request, _LAST, last))


@router.get("/people/{id}", dependencies=[READS], responses=problems(401, 403, 404, 422, 503))
def get_person(service: TheService, person: ThePerson) -> PersonView:
    """One person in every library, face by face; a departed person still answers, with no faces.

    `wanted` and `held` are revisions: what a library is to be brought to, and what it was last brought to.
    """
    return person_view(service.house, person)


@router.get("/people/{id}/explain", dependencies=[READS], responses=problems(401, 403, 404, 422, 503))
def explain_person(service: TheService, person: ThePerson) -> Explained:
    """What would be done for one person in every library and why, what stands in the way, and what helps.

    Read from what is written here: no library is asked.
    """
    return explain(service.house, person)


@router.put(
    "/people/{id}",
    status_code=HTTPStatus.ACCEPTED,
    responses=BEFORE | problems(401, 403, 413, 415, 422, 503),
    openapi_extra=json_body(PersonObject),
)
def put_person(telling: TheTelling, desk: TheDesk, person: ThePerson, response: Response) -> Written:
    """Tell of a person as `person.upserted` does: new, changed, or back after a departure."""

    def told(_known: Known | None) -> Told:
        said = telling.read(PersonObject)
        if said.id not in {"", person}:
            raise InputError("id: is another than the one in the address; leave it out", field="id")
        words = {name: getattr(said, name) for name in said.model_fields_set & PersonWords.model_fields.keys()}
        given = PersonWords[PhotoWords].model_validate({**words, "id": person})
        try:
            change = change_of(UpsertedWords[PhotoWords](person=given), open_with(desk.service.photos))
        except InputError as error:
            field = (error.field or "").removeprefix(_PREFIX) or None
            raise InputError(str(error).removeprefix(_PREFIX), field=field) from None
        return telling.told(change, version=said.version, cancels=said.cancels_departure)

    return tell(desk, telling, response, person, told)


@router.delete(
    "/people/{id}",
    status_code=HTTPStatus.ACCEPTED,
    responses=BEFORE | problems(401, 403, 404, 422, 503),
)
def delete_person(
    telling: TheTelling, desk: TheDesk, person: ThePerson, response: Response, asked: Annotated[AskedMoment, Query()]
) -> Written:
    """A departure: every face of the person goes from every library, and from here."""

    def told(known: Known | None) -> Told:
        if known is None:
            raise NotFoundError(f"nobody is known as {person!r}; ids are case-sensitive, as the HR system sends them")
        return telling.told(Departed(person), effective_at=asked.effective_at)

    return tell(desk, telling, response, person, told)


@router.post(
    "/people/{id}/resync",
    dependencies=[OPERATES],
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(401, 403, 404, 422, 503),
)
def resync_person(desk: TheDesk, person: ThePerson) -> Resynced:
    """Read a person in every library and deliver again what is not as it should be."""
    rings = operate.resync(desk.service.house, person)
    desk.ring(rings)
    return Resynced(libraries=[ring.library for ring in rings])
