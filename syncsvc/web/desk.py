"""What a route asks for."""

from typing import Annotated, cast

from fastapi import Depends, Request

from syncsvc.wiring import Service


def _service(request: Request) -> Service:
    return cast("Service", request.app.state.service)


TheService = Annotated[Service, Depends(_service)]
