"""What the demo comes to: every library compared with the canonical database, and that with HR's own books."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncsvc.cli.demo.sample import Faces
from syncsvc.cli.demo.story import Story
from syncsvc.cli.demo.verdict import Disagreement, differences, disagreements
from syncsvc.flow.views import person_view
from syncsvc.model.people import FaceId, PersonId, Revision


@dataclass(frozen=True, slots=True)
class LibraryResult:
    """`throttled_own`: too-fast answers that our own pace caused; `throttled_scripted`: that the story ordered."""

    name: str
    vendor: str
    people: int
    faces: int
    calls: int
    throttled_own: int
    throttled_scripted: int
    faults: Mapping[str, int]
    refused: int
    refused_expected: int
    unsettled: int
    odd_faces: int
    disagreements: tuple[Disagreement, ...]

    @property
    def converged(self) -> bool:
        """Settled, and equal face by face to the canonical database but for what was expected to be refused."""
        return not self.disagreements and not self.unsettled and self.refused == self.refused_expected

    @property
    def good(self) -> bool:
        return self.converged and not self.throttled_own


@dataclass(frozen=True, slots=True)
class Result:
    """`canonical`: where our database is not what HR's books say. `takeable`: faces that no library refuses."""

    seconds: float
    people: int
    faces: int
    takeable: int
    canonical: tuple[Disagreement, ...]
    libraries: tuple[LibraryResult, ...]
    effects: Mapping[str, int]
    happened: tuple[tuple[float, str], ...]
    refused: tuple[PersonId, ...]  # of whom one photo each was expected to be refused

    @property
    def agreed(self) -> bool:
        return not self.canonical and all(one.good for one in self.libraries)

    def as_json(self) -> dict[str, Any]:
        libraries = [
            {
                **{name: getattr(one, name) for name in one.__slots__ if name != "disagreements"},
                "converged": one.converged,
                "disagreements": [{"who": two.who, "what": two.what} for two in one.disagreements],
            }
            for one in self.libraries
        ]
        return {
            "agreed": self.agreed,
            "seconds": round(self.seconds, 1),
            "people": self.people,
            "faces": self.faces,
            "canonical": {
                "agrees": not self.canonical,
                "disagreements": [{"who": one.who, "what": one.what} for one in self.canonical],
            },
            "libraries": libraries,
            "changes": dict(self.effects),
            "happened": [{"after": round(at, 1), "what": what} for at, what in self.happened],
        }


def conclude(story: Story) -> Result:
    """Read everything once more and compare."""
    sample, stage = story.sample, story.stage
    now, canonical = story.look(), _canonical(story)
    libraries = []
    for name, room in stage.rooms.items():
        world, calls, view = room.world(), room.calls(), now[name].view
        refused = {one for one in sample.refused if _is_refused(story, name, *one)}
        libraries.append(
            LibraryResult(
                name=name,
                vendor=view.vendor,
                people=sum(bool(faces) for faces in world["people"].values()),
                faces=int(world["total"]),
                calls=int(calls["total"]),
                throttled_own=int(calls["throttled"]["own"]),
                throttled_scripted=int(calls["throttled"]["scripted"]),
                faults=dict(calls["faults_fired"]),
                refused=view.attention,
                refused_expected=len({person for person, _ in sample.refused}),
                unsettled=view.due + view.doubtful,
                odd_faces=view.odd_faces,
                disagreements=tuple(
                    disagreements(canonical, world, everybody=sample.everybody, refused=refused),
                ),
            )
        )
    return Result(
        seconds=story.seconds(),
        people=len(canonical),
        faces=sum(len(faces) for faces in canonical.values()),
        takeable=sum(len(faces) for faces in canonical.values()) - len(sample.refused),
        canonical=tuple(differences(sample.after, canonical)),
        libraries=tuple(libraries),
        effects=story.effects,
        happened=tuple(story.happened),
        refused=tuple(sorted({person for person, _ in sample.refused})),
    )


def _canonical(story: Story) -> Faces:
    """Who has which pictures by our own database."""
    people = dict.fromkeys(story.sample.everybody, Revision(0))
    with story.stage.service.house.store.reading() as tx:
        found = tx.people.wanted(people, pictures=False)
    return {one.id: {face.id: face.digest for face in one.faces} for one in found.values() if one.faces}


def _is_refused(story: Story, library: str, person: PersonId, _face: FaceId) -> bool:
    view = person_view(story.stage.service.house, person)
    return any(one.name == library and one.state == "refused" for one in view.libraries)
