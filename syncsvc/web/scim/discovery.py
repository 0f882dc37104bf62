"""What this service can do, as RFC 7644 section 4 has it published: only what it keeps and does."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, Request
from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    Context,
    ETag,
    Filter,
    ListResponse,
    Meta,
    NotFoundException,
    Patch,
    Resource,
    ResourceType,
    Schema,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
)
from starlette.exceptions import HTTPException

from syncsvc.intake.scim.models import POLICY, User
from syncsvc.web.callers import may
from syncsvc.web.scim.answers import Base, ScimAnswer
from syncsvc.web.scim.queries import MOST_RESULTS

CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MOST_RESULTS),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=True),
    etag=ETag(supported=True),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Bearer token",
            description="The secret of a [[token]] section whose role is scim.",
            primary=True,
        )
    ],
)
PROVIDER = ScimProvider(
    models=[User, ResourceType, Schema, ServiceProviderConfig],
    resource_types=[ResourceType.from_resource(User)],
    config=CONFIG,
    policy=POLICY,
)


def _unfiltered(request: Request) -> None:
    """RFC 7644 section 4: who filters here is told that it is forbidden, for it would not be done."""
    if "filter" in request.query_params:
        raise HTTPException(HTTPStatus.FORBIDDEN, "what this service describes of itself cannot be filtered")


router = APIRouter(dependencies=[Depends(may("scim")), Depends(_unfiltered)])


@router.get("/ServiceProviderConfig")
def service_provider_config(base: Base) -> ScimAnswer:
    return _one(CONFIG, f"{base}/ServiceProviderConfig")


@router.get("/ResourceTypes")
def resource_types(base: Base) -> ScimAnswer:
    return _all(ListResponse[ResourceType], PROVIDER.resource_types, f"{base}/ResourceTypes")


@router.get("/ResourceTypes/{name}")
def resource_type(name: str, base: Base) -> ScimAnswer:
    return _named(PROVIDER.resource_types, name, f"{base}/ResourceTypes")


@router.get("/Schemas")
def schemas(base: Base) -> ScimAnswer:
    return _all(ListResponse[Schema], PROVIDER.schemas, f"{base}/Schemas")


@router.get("/Schemas/{urn}")
def schema(urn: str, base: Base) -> ScimAnswer:
    return _named(PROVIDER.schemas, urn, f"{base}/Schemas")


def _named(resources: Any, name: str, where: str) -> ScimAnswer:
    for one in resources:
        if one.id == name:
            return _one(one, f"{where}/{name}")
    raise NotFoundException


def _all(kind: Any, resources: Any, where: str) -> ScimAnswer:
    shown = [_placed(one, f"{where}/{one.id}") for one in resources]
    listed = kind(total_results=len(shown), start_index=1, items_per_page=len(shown), resources=shown)
    return ScimAnswer(listed.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


def _one(resource: Resource[Any], location: str) -> ScimAnswer:
    return ScimAnswer(_placed(resource, location).model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


def _placed(resource: Any, location: str) -> Any:
    return resource.model_copy(update={"meta": Meta(resource_type=type(resource).__name__, location=location)})
