"""Works out of which changes there is something to tell, and writes it down for every callback."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import assert_never

from syncsvc.flow.fate import ChangeInLibrary, ChangeView, change_views
from syncsvc.flow.house import House
from syncsvc.model.callbacks import Notice
from syncsvc.store import Transaction
from syncsvc.store.watches import Watch

AT_ONCE = 200  # changes looked at in one transaction
ROUNDS = 25  # transactions of one call; the next call comes a second later
AGAIN = timedelta(hours=1)  # for what no delivery tells, like a library that is told nothing any more

_TROUBLES = ("refused", "exhausted")


def notify(house: House) -> int:
    """Write down what is to be told of changes, once each; returns how many messages.

    A change ends with one `change.converged` or `change.superseded`. Before that, each library that refused it or
    was given up is told of once. In one transaction with the forgetting, so nothing is told twice or never.
    """
    told = 0
    for _ in range(ROUNDS if house.callbacks else 0):
        with house.store.reading() as tx:
            if not tx.watches.any_due(house.clock()):
                break
        with house.store.transaction() as tx:
            told += _look(tx, house)
    return told


def _look(tx: Transaction, house: House) -> int:
    now = house.clock()
    watches = {watch.change: watch for watch in tx.watches.take(now, AT_ONCE)}
    views = {view.id: view for view in change_views(tx, tx.changes.these(watches))}
    notices: list[Notice] = []
    going_on: dict[str, frozenset[str]] = {}
    for watch in watches.values():
        view = views.get(watch.change)
        if view is None:
            continue  # so old that the change itself is forgotten
        if (ending := _ending(watch, view)) is not None:
            notices.append(_notice(ending, view, view.libraries))
            continue
        news = list(_news(watch, view))
        notices += [_notice(one.state, view, [one]) for one in news]
        going_on[watch.change] = watch.told | {_word(one) for one in news}
    tx.callbacks.owe(house.callbacks, notices, now)
    tx.watches.keep(going_on, now + AGAIN)
    tx.watches.end(sorted(watches.keys() - going_on.keys()))
    return len(notices) * len(house.callbacks)


def _ending(watch: Watch, view: ChangeView) -> str | None:
    """The last that is told of a change; None while something of it is left to do."""
    match view.state:
        case "superseded":
            return "superseded"
        case "converged" | "nothing_to_do":
            # What was refused and is there now may be there by a newer change: this one's photo never was.
            newer = [one for one in view.libraries if one.held and view.revision and one.held > view.revision]
            return "superseded" if watch.told and newer else "converged"
        case "waiting" | "pending" | "attention":
            return None
        case _:
            assert_never(view.state)


def _news(watch: Watch, view: ChangeView) -> Iterator[ChangeInLibrary]:
    return (one for one in view.libraries if one.state in _TROUBLES and _word(one) not in watch.told)


def _word(one: ChangeInLibrary) -> str:
    return f"{one.state} {one.name}"


def _notice(what: str, view: ChangeView, libraries: Sequence[ChangeInLibrary]) -> Notice:
    """Ids and reasons; `libraries` are those that the notice is about."""
    content = {
        "change": view.id,
        "source": view.source,
        "source_id": view.source_id,
        "kind": view.kind,
        "person": {"id": view.person},
        "effect": view.effect,
        "revision": view.revision,
        "libraries": [asdict(one) for one in libraries],
    }
    return Notice(f"change.{what}", content)
