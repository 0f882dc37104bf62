"""The FastAPI application and the server that runs it."""

import uvicorn
from fastapi import FastAPI

from syncsvc.web import health, photos, problems
from syncsvc.wiring import Service, declare_libraries


def create_app(service: Service) -> FastAPI:
    """The application over one process' service; every error it answers is problem+json."""
    app = FastAPI(title="syncsvc", summary="Keeps vendor face libraries equal to one canonical database")
    app.state.service = service
    problems.install(app)
    app.include_router(health.router)
    app.include_router(photos.router)
    return app


def serve(service: Service, *, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. There is no access log: it would hold photo links."""
    declare_libraries(service)
    config = uvicorn.Config(
        create_app(service),
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
