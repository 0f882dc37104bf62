"""Defects of retiring a library, and of comparing it with the one that takes its place."""

from tests.planted.defect import Defect

RETIRE = "tests/flow/test_retire.py"
COMPARE = "tests/flow/test_compare_libraries.py"

DEFECTS = (
    Defect(
        "a library retires without anybody's approval",
        "syncsvc.flow.retire",
        "if people and approved != people:",
        "if people and approved is not None and approved < people:",
        (f"{RETIRE}::test_a_library_retires_only_where_just_so_many_are_approved",),
    ),
    Defect(
        "the old library retires though the new one lacks somebody",
        "syncsvc.flow.retire",
        "    if lacking:\n",
        "    if lacking > 100:\n",
        (f"{RETIRE}::test_nobody_retires_while_the_new_library_lacks_somebody",),
    ),
    Defect(
        "a library from which we may not remove retires",
        "syncsvc.flow.retire",
        'if shelf.policy != "sync":',
        'if shelf.policy == "nothing":',
        (f"{RETIRE}::test_only_a_library_from_which_we_may_remove_retires",),
    ),
    Defect(
        "a newcomer is sent to a library that retires",
        "syncsvc.store.libraries",
        'self._names(libraries.c.policy != "observe", libraries.c.retiring_at.is_(None))',
        'self._names(libraries.c.policy != "observe")',
        (f"{RETIRE}::test_nobody_new_is_sent_and_whoever_changes_is_sent_nowhere_but_to_the_others",),
    ),
    Defect(
        "who departs waits in the queue of those who are taken out of a retiring library",
        "syncsvc.flow.apply",
        "retiring = tx.libraries.retiring() if left else []",
        "retiring: list[LibraryName] = []",
        (f"{RETIRE}::test_departures_go_first",),
    ),
    Defect(
        "an errand in a retiring library still wants faces",
        "syncsvc.flow.claim",
        "for row in rows if row.retiring}",
        "for row in rows if False}",
        (f"{RETIRE}::test_a_photo_is_never_sent_to_it_whatever_is_written",),
    ),
    Defect(
        "whoever is sending while a library retires settles as if nothing were",
        "syncsvc.store.migrating",
        '            "lease": null(),\n',
        "",
        (
            f"{RETIRE}::test_a_worker_that_was_sending_somebody_when_it_began_leaves_nothing_behind",
            f"{RETIRE}::test_a_removal_that_is_under_way_when_it_is_undone_is_made_good",
        ),
    ),
    Defect(
        "what was given up is left in a retiring library",
        "syncsvc.store.migrating",
        'stuck = _d.state.in_(["refused", "exhausted"])',
        'stuck = _d.state.in_(["refused"])',
        (f"{RETIRE}::test_a_departure_that_was_given_up_is_tried_again",),
    ),
    Defect(
        "a change that was under way when a library retired is overlooked",
        "syncsvc.flow.retire",
        "        if tx.migrating.somebody_wanted(one.library):\n",
        "        if False:\n",
        (f"{RETIRE}::test_a_change_that_was_being_written_when_it_began_is_swept_up_afterwards",),
    ),
    Defect(
        "a face that came back is not taken out again",
        "syncsvc.flow.retire",
        "if progress.there and progress.looks < LOOKS:",
        "if progress.there and progress.looks < 1:",
        (f"{RETIRE}::test_a_face_that_comes_back_is_taken_out_again",),
    ),
    Defect(
        "accepted is taken for gone",
        "syncsvc.flow.retire",
        "    there = {person: vendor_ids(ever) & shown for person, ever in page.items() if vendor_ids(ever) & shown}\n",
        "    there: dict[PersonId, frozenset[VendorFaceId]] = {}\n    shown = set()\n",
        (f"{RETIRE}::test_what_never_goes_is_not_called_gone",),
    ),
    Defect(
        "a retired library leaves no receipt",
        "syncsvc.flow.retire",
        "        issue_retirement(tx, house, one.library, content(one, listing, now), now)\n",
        "",
        (f"{RETIRE}::test_a_receipt_says_what_was_verified_and_names_nobody",),
    ),
    Defect(
        "only faces that are bound now are verified",
        "syncsvc.store.migrating",
        "mine = select(bindings).where(_b.library == name, _b.person_id.in_(page))",
        "mine = select(bindings).where(_b.library == name, _b.person_id.in_(page[:0]))",
        (f"{RETIRE}::test_faces_that_were_replaced_long_ago_are_verified_as_well",),
    ),
    Defect(
        "undone, newcomers of the meantime are forgotten",
        "syncsvc.flow.retire",
        "        tx.deliveries.want_all(one.library, page, rank=rank(Urgency.REPAIR, now), now=now)\n",
        "",
        (f"{RETIRE}::test_undone_everybody_is_sent_there_again_and_newcomers_too",),
    ),
    Defect(
        "whoever only the old library has is not missed",
        "syncsvc.flow.compare_libraries",
        'lacking=where == "only_old",',
        'lacking=where == "neither",',
        (f"{COMPARE}::test_an_empty_new_library_lacks_everybody_and_a_filled_one_nobody",),
    ),
    Defect(
        "the departed are missed in the new library",
        "syncsvc.flow.compare_libraries",
        "    if not wanted:\n",
        "    if not wanted and not old.held:\n",
        (f"{COMPARE}::test_somebody_who_has_departed_is_missed_nowhere",),
    ),
    Defect(
        "a comparison reads its first page again and again, or no further",
        "syncsvc.flow.compare_libraries",
        "page = tx.migrating.page((old, new), after=page[-1], limit=AT_ONCE)",
        'page = tx.migrating.page((old, new), after=page[-1], limit=AT_ONCE) if page[-1] == "" else []',
        (f"{COMPARE}::test_everybody_is_counted_once_however_small_the_pages",),
    ),
)
