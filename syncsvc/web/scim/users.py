"""`/Users`: people as identity providers write, read, look for and remove them (RFC 7644 section 3)."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from scim2_models import Context, ListResponse, NotFoundException, NotImplementedException, SearchRequest

from syncsvc.intake.scim.models import POLICY, User
from syncsvc.intake.scim.patches import patched, read_patch
from syncsvc.intake.scim.resources import load, read_creation, read_replacement, version_of
from syncsvc.web.callers import IdentityProvider, may
from syncsvc.web.desk import TheDesk, TheService
from syncsvc.web.scim.answers import Base, Said, ScimAnswer, TheWindow, demand_version, unchanged_since
from syncsvc.web.scim.queries import find
from syncsvc.web.scim.writing import Writer
from syncsvc.wiring import Service

_EVERY = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def _writer(request: Request, caller: IdentityProvider, desk: TheDesk, base: Base) -> Writer:
    return Writer(desk, caller.name, base, partial(demand_version, request.headers.get("if-match")))


TheWriter = Annotated[Writer, Depends(_writer)]

router = APIRouter(dependencies=[Depends(may("scim"))])


@router.post("/Users")
def create(said: Said, writer: TheWriter, window: TheWindow) -> ScimAnswer:
    return window.show(writer.add(read_creation(said)), HTTPStatus.CREATED)


@router.get("/Users")
def query(request: Request, service: TheService, base: Base) -> ScimAnswer:
    asked = SearchRequest[User].model_validate(dict(request.query_params), scim_policy=POLICY)
    return _listed(service, asked, base)


@router.post("/Users/.search")
@router.post("/.search")
def search(said: Said, service: TheService, base: Base) -> ScimAnswer:
    """The same with its parameters in the body; users are all that a search from the root can find."""
    asked = SearchRequest[User].model_validate(said, scim_ctx=Context.SEARCH_REQUEST, scim_policy=POLICY)
    return _listed(service, asked, base)


@router.get("/Users/{id_}")
def read(id_: str, request: Request, service: TheService, window: TheWindow) -> Response:
    with service.house.store.reading() as tx:
        stored = tx.scim_users.get(id_)
    if stored is None:
        raise NotFoundException(detail="there is no such user")
    if unchanged_since(request, stored):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": version_of(stored)})
    return window.show(stored)


@router.put("/Users/{id_}")
def replace(id_: str, said: Said, writer: TheWriter, window: TheWindow) -> ScimAnswer:
    return window.show(writer.amend(id_, partial(read_replacement, said)))


@router.patch("/Users/{id_}")
def modify(id_: str, said: Said, writer: TheWriter, window: TheWindow) -> ScimAnswer:
    return window.show(writer.amend(id_, partial(patched, patch=read_patch(said))))


@router.delete("/Users/{id_}")
def remove(id_: str, writer: TheWriter) -> Response:
    writer.remove(id_)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.api_route("/Me", methods=_EVERY)
@router.api_route("/Me/{rest:path}", methods=_EVERY)
def me() -> Response:
    raise NotImplementedException(detail="a token of this service stands for nobody; ask for /Users")


@router.post("/Bulk")
def bulk() -> Response:
    raise NotImplementedException(detail="send one request for each user")


def _listed(service: Service, asked: SearchRequest[User], base: str) -> ScimAnswer:
    with service.house.store.reading() as tx:
        total, users = find(tx, asked, partial(load, base=base))
    listed = ListResponse[User](
        total_results=total, start_index=asked.start_index or 1, items_per_page=len(users), resources=users
    )
    return ScimAnswer(listed.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked))
