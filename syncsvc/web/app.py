"""The FastAPI application and the server that runs it."""

import uvicorn
from fastapi import FastAPI

from syncsvc.web import api, docs, health, photos, problems, webhooks
from syncsvc.web.body import LargestBody
from syncsvc.web.callers import Callers
from syncsvc.web.desk import Desk, RingBell, silence
from syncsvc.web.docs import DescribedApp
from syncsvc.web.scim import SCIM, create_scim, not_taken
from syncsvc.web.segments import EncodedSegments
from syncsvc.wiring import Service, declare_libraries


def create_app(service: Service, ring: RingBell = silence) -> FastAPI:
    """The application over one process' service; every error it answers is problem+json.

    `ring` sends the bells of a recorded change, after its commit.
    """
    summary = "Keeps vendor face libraries equal to one canonical database"
    app = DescribedApp(
        title="syncsvc", summary=summary, version="1", docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.desk = Desk(service, ring)
    app.state.callers = Callers(service.settings.tokens)
    app.add_middleware(EncodedSegments)
    app.add_middleware(LargestBody, most=service.settings.intake.max_body, elsewhere={SCIM: not_taken})
    problems.install(app)
    app.include_router(health.router)
    app.include_router(photos.router)
    app.include_router(webhooks.router)
    app.include_router(api.router)
    app.include_router(docs.router)
    app.mount(SCIM, create_scim(app.state.desk, app.state.callers))
    return app


def serve(service: Service, ring: RingBell, *, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. There is no access log: it would hold photo links."""
    declare_libraries(service)
    config = uvicorn.Config(
        create_app(service, ring),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run()
    service.house.store.close()
