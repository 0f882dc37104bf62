"""What SCIM routes share: bodies in, answers out, the address under which the resources are found, versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request
from scim2_models import Context, PreconditionFailedException, ResponseParameters
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from syncsvc.intake.scim.models import POLICY, User
from syncsvc.intake.scim.reading import read_object
from syncsvc.intake.scim.resources import load, version_of
from syncsvc.store.scim_users import ScimUser
from syncsvc.web.desk import TheService
from syncsvc.web.scim.errors import MEDIA_TYPE

_SPOKEN = {MEDIA_TYPE, "application/json"}


class ScimAnswer(JSONResponse):
    """Never kept by anybody between: it holds names."""

    media_type = MEDIA_TYPE

    def __init__(self, content: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, {"Cache-Control": "no-store", **(headers or {})})


async def _raw(request: Request) -> bytes:
    spoken = request.headers.get("content-type", MEDIA_TYPE).partition(";")[0].strip().lower()
    if spoken not in _SPOKEN:
        words = f"the body must be {MEDIA_TYPE} or application/json"
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, words)
    return await request.body()


def _said(raw: Annotated[bytes, Depends(_raw)]) -> dict[str, Any]:
    """In a thread: a body may hold megabytes of photos, and others are waiting for the loop."""
    return read_object(raw)


def _base(request: Request, service: TheService) -> str:
    """Where identity providers find us: as configured, else as this one asked."""
    public = service.settings.service.public_url
    return f"{public.rstrip('/')}/scim/v2" if public else str(request.base_url).rstrip("/")


Said = Annotated[dict[str, Any], Depends(_said)]
Base = Annotated[str, Depends(_base)]


@dataclass(frozen=True, slots=True)
class Window:
    """How the caller wants to see resources: found under `base`, with the attributes of their choice."""

    base: str
    parameters: ResponseParameters[User]

    def show(self, stored: ScimUser, status: HTTPStatus = HTTPStatus.OK) -> ScimAnswer:
        """One resource, with its ETag, and with its address where it is new."""
        user = load(stored, self.base)
        content = user.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=self.parameters)
        headers = {"ETag": version_of(stored)}
        if status is HTTPStatus.CREATED:
            headers["Location"] = f"{self.base}/Users/{stored.id}"
        return ScimAnswer(content, status, headers)


def _window(request: Request, base: Base) -> Window:
    asked = ResponseParameters[User].model_validate(dict(request.query_params), scim_policy=POLICY)
    return Window(base, asked)


TheWindow = Annotated[Window, Depends(_window)]


def unchanged_since(request: Request, stored: ScimUser) -> bool:
    """Whether a GET's If-None-Match names the version that we have."""
    told = request.headers.get("if-none-match")
    return told is not None and _names(told, stored)


def demand_version(told: str | None, stored: ScimUser) -> None:
    """Raises PreconditionFailedException where an If-Match names other versions than the one that we have."""
    if told is not None and not _names(told, stored):
        raise PreconditionFailedException


def _names(told: str, stored: ScimUser) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in told.split(",")}
    return "*" in tags or version_of(stored).removeprefix("W/") in tags
