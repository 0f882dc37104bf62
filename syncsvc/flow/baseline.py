"""Who is under a person's name before we add a face: in a library without labels, only what comes later can be ours."""

from dataclasses import dataclass

from syncsvc.flow.house import House
from syncsvc.flow.settle import Round
from syncsvc.model.errors import NoPermitError
from syncsvc.model.people import PersonId
from syncsvc.model.situations import Finding, Situation


@dataclass(slots=True)
class Baseline:
    """Written down before the first add of an errand; `adds` is how many may be under way since then, 0 before.

    A worker that dies before this has added nothing, so a face that nobody knew is a stranger's. One that dies
    after it may have added so many, and none of the strangers noted here is among them.
    """

    house: House
    round: Round
    delivery: int
    adds: int = 0

    def __call__(self, person: PersonId, findings: tuple[Finding, ...], adds: int) -> None:
        """Raises NoPermitError where the lease is lost: nothing may be sent any more."""
        strangers = [one for one in findings if one.situation in {Situation.FOREIGN, Situation.DISPUTED}]
        noted = [Finding(Situation.FOREIGN, one.vendor_face_id, one.note) for one in strangers if one.vendor_face_id]
        with self.house.store.transaction() as tx:
            if not tx.deliveries.begin_adds(self.delivery, self.round.lease, adds):
                raise NoPermitError(0.0, "the lease is lost")
            if noted:
                tx.situations.note(self.round.library, person, noted, self.house.clock())
        self.adds = adds
