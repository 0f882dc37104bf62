"""The control API under /_control/: what a sandbox holds, what was asked of it, and what shall go wrong."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from syncsvc.sandbox.base import Sandbox
from syncsvc.sandbox.windows import Limits, Rates

_Action = Callable[[Sandbox, Mapping[str, Any]], Any]


def application(sandbox: Sandbox) -> Starlette:
    """The whole server of one sandbox: the vendor's routes and the control API."""
    routes: list[BaseRoute] = [
        _route(sandbox, "world", "GET", _world),
        _route(sandbox, "calls", "GET", _calls),
        _route(sandbox, "faults", "GET", _faults),
        _route(sandbox, "faults", "POST", _write_fault),
        _route(sandbox, "faults", "DELETE", _clear_faults),
        _route(sandbox, "limits", "POST", _limits),
        _route(sandbox, "latency", "POST", _latency),
        _route(sandbox, "switches", "POST", _switches),
        _route(sandbox, "misbehave", "POST", _misbehave),
        _route(sandbox, "bring_back", "POST", _bring_back),
        _route(sandbox, "reset", "POST", _reset),
        _route(sandbox, "plant", "POST", _plant),
        _route(sandbox, "remove", "POST", _remove),
        Mount("/", app=sandbox),
    ]
    return Starlette(routes=routes)


def _route(sandbox: Sandbox, name: str, method: str, action: _Action) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            told = dict(request.query_params) if method == "GET" else json.loads(await request.body() or b"{}")
            return JSONResponse(action(sandbox, told))
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)

    return Route(f"/_control/{name}", endpoint, methods=[method])


def _world(sandbox: Sandbox, _: Mapping[str, Any]) -> Any:
    with sandbox.lock:
        return {"vendor": sandbox.name, **sandbox.world.as_json()}


def _calls(sandbox: Sandbox, told: Mapping[str, Any]) -> Any:
    return sandbox.calls(int(told.get("last", 100)))


def _faults(sandbox: Sandbox, _: Mapping[str, Any]) -> Any:
    with sandbox.lock:
        return {"faults": [asdict(fault) for fault in sandbox.script.in_force()]}


def _write_fault(sandbox: Sandbox, told: Mapping[str, Any]) -> Any:
    return asdict(sandbox.write_fault(told))


def _clear_faults(sandbox: Sandbox, _: Mapping[str, Any]) -> Any:
    sandbox.clear_faults()
    return {"faults": []}


def _limits(sandbox: Sandbox, told: Mapping[str, Any]) -> Any:
    changed: dict[str, Any] = {key: told[key] for key in ("enabled", "concurrency") if key in told}
    changed.update({key: _rates(told[key]) for key in ("rates", "each") if key in told})
    if "operations" in told:
        changed["operations"] = {name: _rates(rates) for name, rates in told["operations"].items()}
    if unknown := set(told) - set(changed):
        raise ValueError(f"limits have no {', '.join(sorted(unknown))}")
    limits: Limits = replace(sandbox.windows.limits, **changed)
    sandbox.set_limits(limits)
    return asdict(limits)


def _latency(sandbox: Sandbox, told: Mapping[str, Any]) -> Any:
    sandbox.latency, sandbox.jitter = float(told.get("seconds", 0.0)), float(told.get("jitter", 0.0))
    return {"seconds": sandbox.latency, "jitter": sandbox.jitter}


def _switches(sandbox: Sandbox, told: Mapping[str, Any]) -> Any:
    sandbox.set_switches(told)
    return sandbox.switches


def _misbehave(sandbox: Sandbox, told: Mapping[str, Any]) -> Any:
    sandbox.misbehave(**told)
    return asdict(sandbox.mischief)


def _bring_back(sandbox: Sandbox, _: Mapping[str, Any]) -> Any:
    return {"back": sandbox.bring_back()}


def _reset(sandbox: Sandbox, _: Mapping[str, Any]) -> Any:
    sandbox.reset()
    return {"total": 0}


def _plant(sandbox: Sandbox, told: Mapping[str, Any]) -> Any:
    return asdict(sandbox.plant(str(told["person_key"]), label=told.get("label")))


def _remove(sandbox: Sandbox, told: Mapping[str, Any]) -> Any:
    return {"removed": sandbox.remove(str(told["vendor_face_id"]))}


def _rates(told: Any) -> Rates:
    return tuple((int(permits), float(period)) for permits, period in told)
