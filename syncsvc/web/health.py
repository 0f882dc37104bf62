"""`/healthz`, `/readyz`, `/metrics`: for orchestrators and Prometheus."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Response

from syncsvc.flow.approvals import count_held
from syncsvc.flow.callbacks import callback_views
from syncsvc.limits.ping import redis_clock
from syncsvc.model.errors import SyncsvcError
from syncsvc.observe.metrics import CONTENT_TYPE, Gauges
from syncsvc.store.engine import DatabaseUnavailableError
from syncsvc.web.desk import TheService
from syncsvc.web.problems import problem, problems
from syncsvc.wiring import Service

# Shown with 0 where there are none, so that an alert ends; `synced` would count every delivery there is.
_STATES = ("due", "doubtful", "refused", "exhausted")

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/readyz", response_model=dict[str, str], responses=problems(503))
def ready(service: TheService) -> dict[str, str] | Response:
    """The database and Redis were asked just now, and answered."""
    checks = {
        "database": _asked(service.house.store.ping),
        "redis": _asked(lambda: redis_clock(service.settings.redis_url)),
    }
    if all(said == "ok" for said in checks.values()):
        return {"status": "ok", **checks}
    wrong = "; ".join(said for said in checks.values() if said != "ok")
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, wrong, checks=checks)


@router.get("/metrics", include_in_schema=False)
def metrics(service: TheService) -> Response:
    """What the processes of this machine counted, and what the database says."""
    return Response(service.metrics.render(_gauges(service)), media_type=CONTENT_TYPE)


def _asked(question: Callable[[], object]) -> str:
    try:
        question()
    except SyncsvcError as error:
        return str(error)
    return "ok"


def _gauges(service: Service) -> Gauges:
    """Nothing while the database is away: what was counted is shown all the same."""
    now = service.house.clock()
    try:
        with service.house.store.reading() as tx:
            libraries = [one for one in tx.libraries.all() if one.configured]
            unsettled = tx.deliveries.unsettled()
            oldest = tx.deliveries.oldest_wait()
            seen = tx.checks.oldest_seen([one.name for one in libraries])
            unfetched = tx.invalidations.failing()
            held = count_held(tx)
            erasures, overdue = tx.erasures.unfinished(now)
            head, unsigned = tx.receipts.head(), tx.receipts.count_waiting()
        callbacks = callback_views(service.house)
    except DatabaseUnavailableError:
        return Gauges()
    counts: dict[tuple[str, str], int] = {(one.name, state): 0 for one in libraries for state in _STATES}
    counts |= {(name, state): count for name, states in unsettled.items() for state, count in states.items()}
    waits: dict[str, float] = {
        one.name: (now - oldest[one.name]).total_seconds() if one.name in oldest else 0.0 for one in libraries
    }
    asked = [name for name, sender in service.senders.items() if sender.door is not None]
    return Gauges(
        deliveries=counts,
        oldest_due_seconds=waits,
        oldest_verification_seconds={name: max(0.0, (now - since).total_seconds()) for name, since in seen.items()},
        library_states={one.name: one.state for one in libraries},
        callbacks_waiting={one.name: one.waiting for one in callbacks},
        employees_unfetched={(name, state): 0 for name in asked for state in ("due", "exhausted")} | unfetched,
        callback_states={one.name: one.state for one in callbacks},
        removals_held=held,
        erasures=erasures,
        erasures_overdue=overdue,
        receipts=(head.number, head.hash),
        receipts_unsigned=unsigned,
    )
