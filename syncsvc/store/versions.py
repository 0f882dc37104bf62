"""How far each source has counted a person's changes, where it counts them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, or_, select

from syncsvc.model.people import FaceId, PersonId
from syncsvc.store.dialect import insert
from syncsvc.store.tables import versions

_v = versions.c
_OF = select(versions).where(
    _v.person_id.in_(bindparam("people", expanding=True)), _v.source.in_(bindparam("sources", expanding=True))
)
_PASSED = delete(versions).where(
    _v.person_id == bindparam("who", type_=_v.person_id.type),
    _v.source == bindparam("told_by", type_=_v.source.type),
    _v.part == "face",
    or_(
        _v.version <= bindparam("passed", type_=_v.version.type),
        _v.face_id == bindparam("left", type_=_v.face_id.type),
    ),
)


@dataclass(frozen=True, slots=True)
class Versions:
    """How far one source has counted the changes of a person: of whether they are there, of all their faces
    together, of single faces that changed after that, and of calling departures off that wait."""

    presence: int | None = None
    faces: int | None = None
    face: Mapping[FaceId, int] = field(default_factory=dict)
    stay: int | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What is to be written of one source's count; what `told` does not mention stays.

    A count of all faces ends those of single faces that it has passed, and of the faces in `left`.
    """

    person: PersonId
    source: str
    told: Versions
    left: frozenset[FaceId] = frozenset()


class VersionCounts:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, people: Collection[PersonId], sources: Collection[str]) -> dict[tuple[PersonId, str], Versions]:
        """The counts of these people by these sources; who was never counted is not in the answer."""
        found: dict[tuple[PersonId, str], dict[tuple[str, FaceId], int]] = {}
        if people:
            for row in self._connection.execute(_OF, {"people": list(people), "sources": list(sources)}):
                mine = found.setdefault((PersonId(row.person_id), row.source), {})
                mine[row.part, FaceId(row.face_id)] = row.version
        return {
            who: Versions(
                parts.get(("presence", FaceId(""))),
                parts.get(("faces", FaceId(""))),
                {face: version for (part, face), version in parts.items() if part == "face"},
                parts.get(("stay", FaceId(""))),
            )
            for who, parts in found.items()
        }

    def note(self, counted: Sequence[Counted]) -> None:
        """Write how far the sources have counted; each person and source once."""
        rows = [
            {"person_id": one.person, "source": one.source, "part": part, "face_id": face, "version": version}
            for one in counted
            for (part, face), version in _parts(one.told).items()
        ]
        if rows:
            rows.sort(key=lambda row: (row["person_id"], row["source"], row["part"], row["face_id"]))
            self._connection.execute(_note(self._connection.dialect.name), rows)
        passed = [
            {"who": one.person, "told_by": one.source, "passed": one.told.faces, "left": face}
            for one in counted
            if one.told.faces is not None
            for face in one.left or ("",)
        ]
        if passed:
            self._connection.execute(_PASSED, passed)


def _parts(told: Versions) -> dict[tuple[str, FaceId], int]:
    parts = {("face", face): version for face, version in told.face.items()}
    whole = {"presence": told.presence, "faces": told.faces, "stay": told.stay}
    return parts | {(part, FaceId("")): version for part, version in whole.items() if version is not None}


@cache
def _note(dialect: str) -> Any:
    statement = insert(dialect, versions)
    key = ["person_id", "source", "part", "face_id"]
    return statement.on_conflict_do_update(index_elements=key, set_={"version": statement.excluded.version})
