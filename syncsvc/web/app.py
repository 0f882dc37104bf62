"""The FastAPI application and the server that runs it."""

import uvicorn
from fastapi import FastAPI

from syncsvc.web import health, photos, problems, webhooks
from syncsvc.web.body import LargestBody
from syncsvc.web.callers import Callers
from syncsvc.web.desk import Desk, RingBell, silence
from syncsvc.wiring import Service, declare_libraries


def create_app(service: Service, ring: RingBell = silence) -> FastAPI:
    """The application over one process' service; every error it answers is problem+json.

    `ring` sends the bells of a recorded change, after its commit.
    """
    app = FastAPI(title="syncsvc", summary="Keeps vendor face libraries equal to one canonical database")
    app.state.desk = Desk(service, ring)
    app.state.callers = Callers(service.settings.tokens)
    app.add_middleware(LargestBody, most=service.settings.intake.max_body)
    problems.install(app)
    app.include_router(health.router)
    app.include_router(photos.router)
    app.include_router(webhooks.router)
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
