"""Defects of reading and mending a library, of departures that are held back, and of how an erasure ends."""

from tests.planted.defect import Defect

BURST = "tests/flow/test_burst.py"
CHECKS = "tests/flow/test_checks.py"
COMPARE = "tests/flow/test_compare.py"
ERASE = "tests/flow/test_erase.py"
LISTING = "tests/flow/test_listing.py"
MEND = "tests/flow/test_mend.py"
SPARE = "tests/flow/test_spare.py"

DEFECTS = (
    Defect(
        "a partial listing is taken for complete",
        "syncsvc.flow.judge_listing",
        "    return said, why or None\n",
        "    return Completeness.COMPLETE, why or None\n",
        (f"{LISTING}::test_a_partial_listing_says_why",),
    ),
    Defect(
        "an empty listing of a library that should hold people is believed",
        "syncsvc.flow.judge_listing",
        "if not state.faces and known:",
        "if not state.faces and not known:",
        (f"{LISTING}::test_a_listing_that_contradicts_itself_is_suspect",),
    ),
    Defect(
        "a reading that is gone on with begins at its first page",
        "syncsvc.flow.listing",
        "        self.barren = 0\n",
        "        self.barren = 0\n        self.held = replace(self.held, cursor=None)\n",
        (f"{LISTING}::test_after_a_crash_behind_any_page_it_is_gone_on_with",),
    ),
    Defect(
        "a reading is taken from whoever is at it",
        "syncsvc.store.listings",
        '_l.state == "reading", free)',
        '_l.state == "reading")',
        (f"{LISTING}::test_a_second_reader_gets_the_state_and_asks_for_nothing",),
    ),
    Defect(
        "who lost a reading goes on writing",
        "syncsvc.store.listings",
        "_l.run == held.run, _l.holder == held.holder, ",
        "_l.run == held.run, ",
        (f"{LISTING}::test_a_reader_who_lost_the_lease_writes_nothing_more",),
    ),
    Defect(
        "a library is read although a departure is due",
        "syncsvc.flow.spare",
        "            if due:\n",
        "            if due is None:\n",
        (
            f"{SPARE}::test_where_something_is_due_nothing_is_asked",
            f"{LISTING}::test_a_departure_in_mid_listing_goes_first",
        ),
    ),
    Defect(
        "what a listing does not show is missing, however little it proves",
        "syncsvc.flow.compare",
        "return self.listing.completeness is Completeness.COMPLETE",
        "return self.listing.completeness is not None",
        (f"{COMPARE}::test_a_face_that_is_not_listed_is_missing_only_if_the_listing_is_complete",),
    ),
    Defect(
        "a foreign face is removed from a library that is not ours alone",
        "syncsvc.model.compare",
        "if verdict.situation is Situation.FOREIGN and not self.owned:",
        "if verdict.situation is Situation.FOREIGN and not self.reactions:",
        (f"{COMPARE}::test_a_face_of_others_is_foreign_and_only_reported_unless_the_library_is_ours",),
    ),
    Defect(
        "the removal guard is asked after the first write",
        "syncsvc.flow.mend",
        "    if listing.state != MENDING:\n",
        "    if listing.state != MENDING:\n"
        "        with house.store.transaction() as tx:\n"
        "            first = tx.situations.of_run(name, listing.run, limit=1, to_do=True)\n"
        "            _Batch(tx, house.shelf(name), listing, house.clock()).mend(first)\n",
        (f"{MEND}::test_what_exceeds_the_guard_waits_and_nobody_is_half_mended",),
    ),
    Defect(
        "a departure that should be held back is applied",
        "syncsvc.flow.burst",
        "            held.add(person)\n",
        "            left.subtract(names)\n",
        (f"{BURST}::test_more_departures_than_may_go_in_a_day_are_held_back_and_nobody_is_half_deleted",),
    ),
    Defect(
        "a departure whose moment comes goes past the guard",
        "syncsvc.flow.fulfil",
        "    return bool(burst.held_back(tx, [known.id], now, house.limits))\n",
        "    return False\n",
        (f"{BURST}::test_a_departure_whose_moment_comes_is_guarded_as_well",),
    ),
    Defect(
        "what a vendor accepted is shown as verified",
        "syncsvc.flow.look_back",
        "        verdict=Verdict.VENDOR_ACCEPTED,\n",
        "        verdict=Verdict.VERIFIED_ABSENT,\n",
        (f"{ERASE}::test_what_a_vendor_accepted_is_not_shown_as_more",),
    ),
    Defect(
        "faces that were removed are not asked for",
        "syncsvc.store.erasures",
        "mine = (bindings.c.library == library) & (bindings.c.person_id == person)",
        "mine = (bindings.c.library == library) & (bindings.c.person_id == person) & bindings.c.removed_at.is_(None)",
        (f"{ERASE}::test_a_deletion_that_lies_is_found_out_and_pursued",),
    ),
    Defect(
        "an erasure is confirmed without a second look",
        "syncsvc.flow.look_back",
        "        return replace(place, check_at=again(now, since)) if waits else None\n",
        "        return replace(place, check_at=again(now, since) if waits else None)\n",
        (f"{ERASE}::test_faces_that_come_back_before_the_second_look_open_it_again",),
    ),
    Defect(
        "a face that came back is not bound again",
        "syncsvc.flow.erase",
        "    tx.bindings.settle([Became(library, person, (), found.strays)], now)\n",
        "",
        (f"{ERASE}::test_faces_that_come_back_before_the_second_look_open_it_again",),
    ),
    Defect(
        "a receipt does not take the hash of the one before along",
        "syncsvc.flow.receipts",
        "number=number, previous=head.hash,",
        "number=number, previous=Head().hash,",
        ("tests/flow/test_receipts.py::test_each_names_the_one_before_and_is_signed_with_the_key",),
    ),
    Defect(
        "a receipt is accepted behind one that it does not name",
        "syncsvc.model.receipt_chain",
        "    if new.previous != last.hash:\n",
        "    if not new.previous:\n",
        ("tests/model/test_receipts.py::test_stretches_are_joined_in_any_order_and_a_gap_is_named",),
    ),
    Defect(
        "a late message re-creates whoever is forgotten",
        "syncsvc.store.tombs",
        "        tombs = self.of(persons)\n",
        "        tombs: dict[PersonId, PersonId] = {}\n",
        ("tests/flow/test_forget.py::test_a_late_message_brings_nobody_back",),
    ),
    Defect(
        "a face counts as verified though it was not seen",
        "syncsvc.flow.checks",
        "    verified = tuple(face for face in held if face.vendor_face_id in vendor_ids(seen.faces) - disputed)\n",
        "    verified = held\n",
        (f"{CHECKS}::test_a_face_that_vanished_is_owed_again_and_put_back_by_the_delivery",),
    ),
    Defect(
        "an approval of another number lets everybody go",
        "syncsvc.flow.mend",
        "if approved is not None and approved != total:",
        "if approved is not None and approved < 0:",
        (f"{MEND}::test_what_exceeds_the_guard_waits_and_nobody_is_half_mended",),
    ),
    Defect(
        "an empty database of ours empties a library",
        "syncsvc.flow.mend",
        "if total and not tx.comparing.anybody():",
        "if not total and not tx.comparing.anybody():",
        (f"{MEND}::test_by_a_database_that_was_emptied_after_the_comparison_nobody_is_removed",),
    ),
    Defect(
        "the caretaker takes every permit of a window",
        "syncsvc.flow.spare",
        "usage.used >= share(usage.allowed, self.house.caretaking.spare_share)",
        "usage.used >= usage.allowed",
        (f"{SPARE}::test_no_more_than_the_caretakers_share_of_the_pace_is_used",),
    ),
    Defect(
        "a newer word does not call a held departure off",
        "syncsvc.flow.burst",
        'if entry.effect == "held" or entry.approved_by is not None:',
        "if entry.approved_by is not None:",
        (f"{BURST}::test_a_newer_upsert_calls_a_held_departure_off",),
    ),
    Defect(
        "nobody is told that an erasure is overdue",
        "syncsvc.flow.erase",
        "    if late and erasure.overdue_at is None:\n",
        "    if late and erasure.overdue_at is not None:\n",
        (f"{ERASE}::test_what_came_too_late_is_attested_once",),
    ),
    Defect(
        "whoever lost the lease of an erasure writes a verdict",
        "syncsvc.store.erasures",
        '        _l.check_at == bindparam("leased", type_=_l.check_at.type),\n',
        '        bindparam("leased", type_=_l.check_at.type).is_not(None),\n',
        ("tests/store/test_erasures.py::test_whoever_lost_the_lease_writes_nothing",),
    ),
    Defect(
        "an id is forgotten too soon",
        "syncsvc.store.tombs",
        "exists().where(after), ~later)",
        "exists().where(after))",
        ("tests/flow/test_forget.py::test_nobody_is_forgotten_too_soon",),
    ),
    Defect(
        "receipts that waited for a key all follow the same one",
        "syncsvc.flow.receipts",
        "            head = _append(",
        "            _append(",
        ("tests/flow/test_receipts.py::test_without_a_key_it_waits_and_says_later_what_was_so_then",),
    ),
)
