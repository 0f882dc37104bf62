"""The statements that every errand runs, built once: building them anew would cost more than running them."""

from typing import Any

from sqlalchemy import ScalarSelect, Select, bindparam, case, func, literal_column, null, or_, select, update

from syncsvc.model.urgency import MAX_ATTEMPTS
from syncsvc.store.tables import deliveries, libraries, lost_faces, situations

OPEN_STATES = ("due", "doubtful")

_d = deliveries.c

# A worker died over the leased revision; an older doubt that nobody has resolved is the older one still.
SINCE_WHEN_IN_DOUBT = func.coalesce(_d.doubted_revision, _d.leased_revision)

# Spelled out like the partial indexes' own condition: with values to come, SQLite would not see that it is the same.
IS_OPEN = _d.state.in_([literal_column(f"'{state}'") for state in OPEN_STATES])


def _bound(name: str, column: Any) -> Any:
    """A value to come, typed like this column: PostgreSQL wants to know."""
    return bindparam(name, type_=column.type)


def instant(name: str) -> Any:
    return _bound(name, _d.due_at)


def first_due() -> Select[Any]:
    """The ids of a library's due deliveries that nobody was rung for, the most urgent first."""
    return (
        select(_d.id)
        .where(
            _d.library == _bound("lib", _d.library),
            IS_OPEN,
            _d.due_at <= instant("now"),
            or_(_d.busy_until.is_(None), _d.busy_until <= instant("now")),
        )
        .order_by(_d.rank)
        .limit(_bound("most", _d.attempts))
        .with_for_update(skip_locked=True)
    )


def _seen(column: Any) -> Any:
    """A column that no index can be walked by: the given ids lead to the rows, whatever the planner believes of a
    backlog. With stale statistics it would rather walk all that is due, and did: 1.1 s for 200 rows of 6,000."""
    return func.coalesce(column, literal_column("''"))


def _library() -> Select[Any]:
    return select(libraries).where(libraries.c.name == _bound("lib", _d.library))


def _noted() -> ScalarSelect[int]:
    """How many faces of the delivery's person were odd in its library before this errand."""
    same = (situations.c.library == _d.library) & (situations.c.person_id == _d.person_id)
    return select(func.count()).where(same).correlate(deliveries).scalar_subquery()


def _lost() -> ScalarSelect[int]:
    """How many pictures the person no longer has, of which an add may have been under way."""
    same = lost_faces.c.person_id == _d.person_id
    return select(func.count()).where(same).correlate(deliveries).scalar_subquery()


def _unlocked() -> Any:
    """Those of the given ids that nobody is writing at this moment. Whoever is rings for them again, so nobody who
    claims ever waits, and none of several that lock many in their own order waits for the other."""
    given = select(_d.id).where(_d.id.in_(bindparam("ids", expanding=True)))
    return given.with_for_update(skip_locked=True)


def _take() -> Any:
    died = _d.leased_until.is_not(None)  # a lease that ran out: its worker never came back to say how it went
    works = _library().where(
        libraries.c.state == "active",
        libraries.c.configured == 1,
        libraries.c.policy != "observe",
        or_(libraries.c.open_until.is_(None), libraries.c.open_until <= instant("now")),
    )
    return (
        update(deliveries)
        .where(
            _d.id.in_(_unlocked()),
            _seen(_d.library) == _bound("lib", _d.library),
            _seen(_d.state).in_(OPEN_STATES),
            _d.due_at <= instant("now"),
            or_(_d.leased_until.is_(None), _d.leased_until <= instant("now")),
            _d.attempts < MAX_ATTEMPTS,
            works.exists(),
        )
        .values(
            lease=_bound("to_lease", _d.lease),
            leased_until=instant("until"),
            busy_until=instant("until"),
            leased_revision=_d.wanted,
            leased_faces=case(  # adds that may be under way from now on; a removal adds nothing
                (_d.verb == "delete", 0), (_bound("labels", _d.attempts) == 1, _d.wanted_faces), else_=0
            ),
            attempts=_d.attempts + 1,
            state=case((died, "doubtful"), else_=_d.state),
            doubted_revision=case((died, SINCE_WHEN_IN_DOUBT), else_=_d.doubted_revision),
            doubted_adds=case((died, _d.doubted_adds + _d.leased_faces), else_=_d.doubted_adds),
        )
        .returning(
            _d.id,
            _d.person_id,
            _d.wanted,
            _d.wanted_at,
            _d.verb,
            _d.attempts,
            _d.state,
            _d.doubted_revision,
            _d.doubted_adds,
            _library().with_only_columns(libraries.c.failures).scalar_subquery().label("failures"),
            _library().with_only_columns(libraries.c.retiring_at).scalar_subquery().label("retiring_at"),
            _noted().label("noted"),
            _lost().label("lost"),
        )
    )


def _settle() -> Any:
    same = _d.wanted == _bound("seen", _d.wanted)
    synced = _bound("to_state", _d.state) == "synced"
    in_doubt = or_(_bound("to_state", _d.state) == "doubtful", _bound("to_doubted_revision", _d.wanted).is_not(None))
    return (
        update(deliveries)
        .where(_d.id == _bound("owed", _d.id), _d.lease == _bound("of_lease", _d.lease))
        .values(
            lease=None,
            leased_until=None,
            busy_until=None,
            state=case(
                (same, _bound("to_state", _d.state)),
                (in_doubt, "doubtful"),
                else_="due",
            ),
            verb=case((same, _bound("to_verb", _d.verb)), else_=_d.verb),
            due_at=case((same, instant("to_due_at")), else_=_d.due_at),
            rank=case((same, func.coalesce(instant("to_rank"), _d.rank)), else_=_d.rank),
            attempts=case((same, _bound("to_attempts", _d.attempts)), else_=_d.attempts),
            reason=case((same, _bound("to_reason", _d.reason)), else_=null()),
            detail=case((same, _bound("to_detail", _d.detail)), else_=null()),
            face_id=case((same, _bound("to_face", _d.face_id)), else_=null()),
            doubted_revision=_bound("to_doubted_revision", _d.wanted),
            doubted_adds=_bound("to_doubted_adds", _d.attempts),
            held=case((synced, _bound("seen", _d.wanted)), else_=_d.held),
            settled_at=case((synced, instant("now")), else_=_d.settled_at),
        )
    )


TAKE = _take()
DUE = first_due()
DUE_OF_A_KIND = first_due().where(_d.verb == _bound("kind", _d.verb), _d.state == "due", _d.leased_until.is_(None))
LEASES = select(_d.id, _d.lease).where(_d.id.in_(bindparam("ids", expanding=True))).order_by(_d.id).with_for_update()
SETTLE = _settle()
RING = (
    update(deliveries)
    .where(_d.id.in_(bindparam("ids", expanding=True)))
    .values(busy_until=instant("until"))
    .returning(_d.id, _d.verb, _d.rank)
)
BUSY = select(func.count()).where(
    _d.library == _bound("lib", _d.library), _d.busy_until.is_not(None), _d.busy_until > instant("now")
)
