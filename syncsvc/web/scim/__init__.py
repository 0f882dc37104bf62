"""`/scim/v2`: identity providers tell of people by SCIM 2.0 (RFC 7643, RFC 7644)."""

from fastapi import FastAPI

from syncsvc.web.callers import Callers
from syncsvc.web.desk import Desk
from syncsvc.web.scim import discovery, users
from syncsvc.web.scim.errors import install, not_taken

__all__ = ["SCIM", "create_scim", "not_taken"]

SCIM = "/scim/v2"


def create_scim(desk: Desk, callers: Callers) -> FastAPI:
    """An application of its own, so that whatever goes wrong in it is said as SCIM says it.

    It describes itself as SCIM does, under /Schemas, and not in OpenAPI.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.desk = desk
    app.state.callers = callers
    install(app)
    app.include_router(discovery.router)
    app.include_router(users.router)
    return app
