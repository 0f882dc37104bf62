"""Defects of the corridor and of the table."""

from tests.planted.defect import Defect

CLAIMS = "tests/store/test_claims.py"
WANTS = "tests/store/test_wants.py"
PEOPLE = "tests/store/test_people.py"
RECORD = "tests/flow/test_record.py"
ENDINGS = "tests/flow/test_endings.py"
DOUBTS = "tests/flow/test_doubts.py"
BREAKER = "tests/flow/test_breaker.py"
DISPATCH = "tests/flow/test_dispatch.py"
SITUATIONS = "tests/flow/test_situations.py"

DEFECTS = (
    Defect(
        "the lease is ignored when claiming",
        "syncsvc.store.statements",
        'or_(_d.leased_until.is_(None), _d.leased_until <= instant("now")),',
        "",
        (f"{CLAIMS}::test_a_claimed_delivery_is_nobody_elses",),
    ),
    Defect(
        "attempts are counted when settled",
        "syncsvc.store.statements",
        "attempts=_d.attempts + 1,",
        "attempts=_d.attempts,",
        (f"{CLAIMS}::test_attempts_are_bounded_even_if_every_worker_dies",),
    ),
    Defect(
        "a dead worker leaves no doubt",
        "syncsvc.store.statements",
        'state=case((died, "doubtful"), else_=_d.state),',
        "state=_d.state,",
        (f"{DOUBTS}::test_what_a_dead_worker_had_done_is_found_and_not_done_again",),
    ),
    Defect(
        "nobody notes who was there before the add",
        "syncsvc.flow.attempt",
        "if caps.labels or shelf.owned:",
        "if caps is not None:",
        (f"{SITUATIONS}::test_a_stranger_is_not_taken_for_an_add_whose_answer_was_lost",),
    ),
    Defect(
        "settling ignores what is wanted by then",
        "syncsvc.store.statements",
        'same = _d.wanted == _bound("seen", _d.wanted)',
        "same = _d.wanted == _d.wanted",
        (f"{ENDINGS}::test_a_departure_in_mid_flight_is_delivered_next",),
    ),
    Defect(
        "a want releases the lease",
        "syncsvc.store.deliveries",
        '"attempts": literal_column("0"),',
        '"leased_until": null(), "attempts": literal_column("0"),',
        (f"{WANTS}::test_a_want_in_mid_flight_does_not_release_the_lease",),
    ),
    Defect(
        "a new want forgets the doubt",
        "syncsvc.store.deliveries",
        '"state": case((in_doubt, _word("doubtful")), else_=_word("due")),',
        '"state": _word("due"),',
        (f"{DOUBTS}::test_after_eight_dead_workers_a_new_photo_leaves_no_stray_of_the_old_one",),
    ),
    Defect(
        "a late ending is nobody's business",
        "syncsvc.store.deliveries",
        "return [one.delivery for one in ends if leases.get(one.delivery) != one.lease]",
        "return []",
        (f"{DOUBTS}::test_a_worker_that_comes_late_loses_nothing_and_has_the_library_read",),
    ),
    Defect(
        "what was rung is rung again",
        "syncsvc.store.statements",
        'or_(_d.busy_until.is_(None), _d.busy_until <= instant("now")),',
        "",
        (f"{WANTS}::test_what_was_rung_is_not_rung_again_until_its_time_is_over",),
    ),
    Defect(
        "in order of arrival",
        "syncsvc.store.statements",
        ".order_by(_d.rank)",
        ".order_by(_d.id)",
        (f"{WANTS}::test_departures_go_before_face_deletions_before_replacements_before_repairs",),
    ),
    Defect(
        "departures overtake for ever",
        "syncsvc.model.urgency",
        "return wanted_at + urgency.value",
        "return wanted_at + urgency.value * 1000",
        (f"{WANTS}::test_an_old_replacement_is_at_last_not_overtaken",),
    ),
    Defect(
        "an old version counts as news",
        "syncsvc.flow.wishes",
        "version <= last",
        "version == last",
        (f"{RECORD}::test_nothing_older_than_a_departure_brings_the_person_back",),
    ),
    Defect(
        "a late face brings a departed person back",
        "syncsvc.flow.wishes",
        "if known.departed_at is not None or have.get(face) == source.digest:",
        "if have.get(face) == source.digest:",
        (f"{RECORD}::test_a_face_of_a_departed_person_is_a_late_message",),
    ),
    Defect(
        "the same telling counts twice",
        "syncsvc.flow.write",
        "    new = dict(entered)",
        "    for one in told:\n"
        "        if (one.source, one.source_id) not in entered:\n"
        "            entered[one.source, one.source_id] = tx.changes.said_before(one.source, one.source_id).id\n"
        "    new = dict(entered)",
        (f"{RECORD}::test_the_same_telling_changes_nothing_and_says_what_became_of_it",),
    ),
    Defect(
        "photos are kept for ever",
        "syncsvc.store.photos",
        "delete(photos).where(mine, ~used)",
        "delete(photos).where(mine, ~used, mine.is_(None))",
        (f"{PEOPLE}::test_a_photo_is_forgotten_when_no_face_needs_it",),
    ),
    Defect(
        "a photo goes while another still has it",
        "syncsvc.store.photos",
        "delete(photos).where(mine, ~used)",
        "delete(photos).where(mine)",
        (f"{RECORD}::test_one_picture_of_two_people_is_stored_once_and_stays_while_one_has_it",),
    ),
    Defect(
        "nobody looks first",
        "syncsvc.flow.attempt",
        "if not errand.doubtful:",
        "if True:",
        (f"{ENDINGS}::test_silence_is_doubtful_until_the_person_was_read_and_leaves_no_stray",),
    ),
    Defect(
        "only wanted pictures are taken back",
        "syncsvc.flow.attempt",
        "for face in errand.person.faces + errand.lost:",
        "for face in errand.person.faces:",
        (f"{DOUBTS}::test_a_departure_after_a_lost_add_leaves_nothing_behind",),
    ),
    Defect(
        "a look that failed counts as one",
        "syncsvc.flow.endings",
        "unread = ended.errand.doubtful and not ended.looked",
        "unread = False",
        (f"{ENDINGS}::test_a_doubt_that_cannot_be_looked_into_stays_one",),
    ),
    Defect(
        "waiting for a permit costs an attempt",
        "syncsvc.flow.attempt",
        'return Deferred(error.wait, "own_pace", str(error), costs_attempt=False)',
        'return Deferred(error.wait, "own_pace", str(error), costs_attempt=True)',
        (f"{ENDINGS}::test_our_own_pace_costs_no_attempt_and_sends_nothing",),
    ),
    Defect(
        "the breaker never opens",
        "syncsvc.flow.settle",
        "failures >= BREAKER_THRESHOLD",
        "failures > 1e9",
        (f"{BREAKER}::test_five_failures_in_a_row_open_it",),
    ),
    Defect(
        "every late failure lengthens the breaker",
        "syncsvc.store.libraries",
        "if not probe:",
        "if False:",
        (f"{BREAKER}::test_a_busy_library_is_not_closed_for_longer_than_a_quiet_one",),
    ),
    Defect(
        "a probe pays with its attempts",
        "syncsvc.flow.endings",
        "case Deferred(about_person=False) if probe:",
        "case Deferred() if False:",
        (f"{BREAKER}::test_an_outage_of_hours_exhausts_nobody",),
    ),
    Defect(
        "wrong credentials are told by every errand",
        "syncsvc.store.libraries",
        "mine = (libraries.c.name == name) & (libraries.c.state != state)",
        "mine = libraries.c.name == name",
        ("tests/store/test_ledgers.py::test_halting_is_told_once",),
    ),
    Defect(
        "upsert-only forgets what it keeps",
        "syncsvc.flow.attempt",
        "error.held = (*error.held, *kept)",
        "pass",
        (f"{SITUATIONS}::test_under_upsert_only_what_is_kept_stays_ours_through_trouble",),
    ),
    Defect(
        "a transaction stays open while the vendor thinks",
        "syncsvc.flow.deliver",
        "settled = settle(house, taken.round, _run(house, shelf, taken, deadline))",
        "with house.store.transaction():\n        done = _run(house, shelf, taken, deadline)\n"
        "    settled = settle(house, taken.round, done)",
        ("tests/flow/test_endings.py::test_no_transaction_is_open_while_the_vendor_thinks",),
    ),
)
