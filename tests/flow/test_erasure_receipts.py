"""From a departure to signed evidence, with real adapters at real sandboxes."""

from dataclasses import replace
from pathlib import Path

import pytest

from syncsvc.flow.erase import pursue
from syncsvc.flow.erasure_views import newest_of, receipt_of
from syncsvc.flow.receipt_files import check_files
from syncsvc.flow.receipt_page import receipt_page
from syncsvc.flow.receipts import every_receipt
from syncsvc.model.errors import NotFoundError
from syncsvc.model.keys import person_hash, person_key
from syncsvc.model.people import PersonId
from syncsvc.model.receipt_form import Kind
from tests.flow.receipt_ground import SIGNER, written
from tests.flow.stage import CAROL, Stage

DAVE = PersonId("employee-4711@example.com")


@pytest.mark.parametrize("who", [DAVE, CAROL], ids=["mail", "odd"])
def test_a_departure_ends_in_receipts_that_verify_and_name_nobody(
    everywhere: Stage, who: PersonId, tmp_path: Path
) -> None:
    stage = everywhere
    stage.house = replace(stage.house, signer=SIGNER)
    stage.hire(who, 0)
    stage.quiet()
    faces = stage.believed(who)
    assert faces
    stage.leave(who)
    with pytest.raises(NotFoundError, match="still open are: gate: nothing known yet"):
        receipt_of(stage.house, newest_of(stage.house, who))

    stage.quiet()
    for seconds in (60, 25 * 3600, 60):
        stage.clock.advance(seconds)
        pursue(stage.house)

    chain = list(every_receipt(stage.house))
    assert [one.kind for one in chain] == ["verified", "confirmed"]
    assert check_files([written(tmp_path, chain)], [SIGNER.public_key], head=chain[-1].hash).published
    library = chain[0].body["libraries"][0]
    assert (library["name"], library["verdict"]) == ("gate", "verified_absent")
    assert library["accepted_at"] <= library["checked_at"] <= chain[0].body["issued_at"]
    assert library["faces"] >= 1
    assert bool(library["requests"]) is (stage.room.name != "sophon")  # which tells no ids of requests
    assert chain[1].body["second_look"]["done_at"] is not None
    assert receipt_of(stage.house, newest_of(stage.house, who), Kind.VERIFIED) == chain[0]
    told = "".join(one.line().decode() + receipt_page(one) for one in chain)
    for secret in (who, person_key(who), person_hash(who), *faces):
        assert secret not in told
