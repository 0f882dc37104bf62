"""The story itself: enrol everybody, let HR change its mind, let things go wrong, wait until all agree."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from syncsvc.cli.demo.sample import Sample
from syncsvc.cli.demo.stage import Stage
from syncsvc.flow.claim import LEASE
from syncsvc.flow.receipts import every_receipt
from syncsvc.flow.record import record, write
from syncsvc.flow.views import LibraryView, status_view
from syncsvc.model.changes import Told
from syncsvc.model.people import LibraryName
from syncsvc.queue.send import send

TICK = 0.25
AT_ONCE = 25  # people of the roster in one transaction, so that workers get their turn at the database


@dataclass(frozen=True, slots=True)
class Glance:
    """One library at one moment. `owed` counts people, `calls` what its practice room was asked."""

    view: LibraryView
    owed: int
    calls: int

    @property
    def settled(self) -> int:
        return self.owed - self.view.due - self.view.doubtful

    @property
    def share(self) -> float:
        return self.settled / self.owed if self.owed else 0.0

    @property
    def quiet(self) -> bool:
        """Nothing is owed and nothing is under way."""
        return self.settled == self.owed and not self.view.in_flight


Moment = dict[str, Glance]


@dataclass
class Story:
    """Told tick by tick. `happened` is what was worth a word, with the seconds since the start."""

    stage: Stage
    sample: Sample
    happened: list[tuple[float, str]] = field(default_factory=list)
    effects: dict[str, int] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _known: set[str] = field(default_factory=set)

    def seconds(self) -> float:
        return time.monotonic() - self.started

    def enrol(self) -> int:
        """Record the roster in bulk: the bell is not rung, the sweep finds what is due."""
        house, people = self.stage.service.house, iter(self.sample.roster)
        while batch := list(islice(people, AT_ONCE)):
            self.stage.check()
            with house.store.transaction() as tx:
                for told in batch:
                    write(tx, told, house.clock(), room=None)
            self._known.update(told.change.person for told in batch)
        self.say(f"the roster is recorded: {len(self._known)} people are owed to every library")
        return len(self._known)

    def unfold(self, *, deadline: float) -> Iterator[Moment]:
        """Tick until every library has settled or the deadline (seconds) has passed; yields what is to be seen."""
        changes, troubles = self._changes(), list(self.sample.story.get("trouble", ()))
        victim = _Victim(**self.sample.story["kill"]) if "kill" in self.sample.story else None
        told_all = False
        while self.seconds() < deadline:
            self.stage.check()
            told_all = told_all or next(changes, None) is None
            now = self.look()
            yield now
            troubles = [trouble for trouble in troubles if not self._strike(trouble, now)]
            if victim is not None and self._kill(victim, now):
                victim = None
            if told_all and not troubles and victim is None and all(one.quiet for one in now.values()):
                return
            time.sleep(TICK)
        self.say(f"gave up waiting after {deadline:.0f} s")

    def prove(self, folder: Path, *, patience: float = 60.0) -> Iterator[Moment]:
        """Wait until every library was read and has nothing of the departed, and leave the receipts in `folder`."""
        house, until = self.stage.service.house, self.seconds() + patience
        while self.seconds() < until:
            self.stage.check()
            with house.store.reading() as tx:
                states, _ = tx.erasures.unfinished(house.clock())
            if not states.get("open"):
                break
            yield self.look()
            time.sleep(TICK)
        file, count = folder / "receipts.jsonl", 0
        with file.open("wb") as out:
            for receipt in every_receipt(house):
                out.write(receipt.line())
                count += 1
        late = f"; {states['open']} are still looked for" if states.get("open") else ""
        self.say(f"{count} signed receipts of departures that every library was read for are in {file}{late}")
        yield self.look()

    def say(self, words: str) -> None:
        self.happened.append((self.seconds(), words))

    def _changes(self) -> Iterator[int]:
        """Each step tells what is due by now: so many a second, while the enrolment is still going on."""
        house, begun, count = self.stage.service.house, time.monotonic(), 0
        pace = float(self.sample.story["changes_per_second"])
        left = iter(self.sample.changes)
        while count < len(self.sample.changes):
            due = min(len(self.sample.changes), 1 + int((time.monotonic() - begun) * pace))
            for told in islice(left, due - count):
                recorded = record(house, told)
                send(recorded.rings)
                self._note(told, "told again" if recorded.again else recorded.effect)
            count = due
            yield count
        self.say(f"HR has told all of its {count} changes: {_counted(self.effects)}")

    def _note(self, told: Told, effect: str) -> None:
        self.effects[effect] = self.effects.get(effect, 0) + 1
        if effect == "applied":
            self._known.add(told.change.person)

    def look(self) -> Moment:
        views = {view.name: view for view in status_view(self.stage.service.house)}
        return {
            name: Glance(views[LibraryName(name)], len(self._known), int(room.calls()["total"]))
            for name, room in self.stage.rooms.items()
        }

    def _strike(self, trouble: Mapping[str, Any], now: Moment) -> bool:
        """Whether the trouble has struck, now or for want of anything left to disturb."""
        library = str(trouble["library"])
        if now[library].share < float(trouble["at"]):
            return False
        fault = {key: value for key, value in trouble.items() if key not in {"library", "at", "says"}}
        self.stage.rooms[library].fault(fault)
        self.say(f"{library} {trouble['says']}")
        return True

    def _kill(self, victim: "_Victim", now: Moment) -> bool:
        """SIGKILL a worker once; True as soon as the supervisor has another one in its place."""
        if victim.pid is None:
            owed, settled = (sum(one.owed for one in now.values()), sum(one.settled for one in now.values()))
            if settled >= victim.at * owed:
                victim.pid, victim.killed = self.stage.kill(victim.worker), self.seconds()
            if victim.pid is not None:
                self.say(
                    f"{victim.worker} was killed (SIGKILL, process {victim.pid}); what it held is taken again when "
                    f"its leases run out, {LEASE.total_seconds():.0f} s after they were taken"
                )
            return False
        successor = self.stage.pid(victim.worker)
        if successor is None or successor == victim.pid:
            return False
        self.say(f"{victim.worker} runs again as process {successor}, {self.seconds() - victim.killed:.1f} s later")
        return True

    def sabotage(self) -> None:
        """Plant faces behind everybody's back, where the story says so: to see that the end would tell."""
        for deed in self.sample.story.get("sabotage", ()):
            self.stage.rooms[deed["library"]].plant(deed["plant"])
            self.say(f"a face of {deed['plant']} was planted in {deed['library']}, behind everybody's back")


@dataclass
class _Victim:
    """The worker to be killed when `at` of everything is settled; `pid` and `killed` (seconds) once it was."""

    at: float
    worker: str
    pid: int | None = None
    killed: float = 0.0


def _counted(effects: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {effect.replace('_', ' ')}" for effect, count in sorted(effects.items()))
