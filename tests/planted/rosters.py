"""Defects of rosters and of the removal guard."""

from tests.planted.defect import Defect

ABSENT = "tests/flow/test_absent.py"
IMPORT = "tests/flow/test_import_roster.py"
ROSTER = "tests/intake/test_roster.py"

DEFECTS = (
    Defect(
        "nobody asks the removal guard",
        "syncsvc.flow.absent",
        "        check(tx, plan, self.absence, self.house.clock())\n",
        "",
        (f"{ABSENT}::test_more_than_the_guard_allows_is_all_or_nothing",),
    ),
    Defect(
        "who left yesterday is forgotten by the guard",
        "syncsvc.flow.guard",
        "before.get(library, 0) + promised",
        "promised",
        (f"{ABSENT}::test_what_went_in_the_last_24_hours_counts_and_what_went_before_does_not",),
    ),
    Defect(
        "two plans that fit one by one are too much together",
        "syncsvc.flow.absent",
        "absence.limits, promised=promised)",
        "absence.limits)",
        (f"{ABSENT}::test_departures_that_were_decided_elsewhere_and_not_yet_made_count_as_made",),
    ),
    Defect(
        "an approval is good for fewer too",
        "syncsvc.flow.absent",
        "elif absence.approved != plan.people:",
        "elif absence.approved < plan.people:",
        (f"{ABSENT}::test_approval_is_for_exactly_so_many",),
    ),
    Defect(
        "whoever stands in a bad line is absent",
        "syncsvc.flow.import_roster",
        "    if counts.bad_lines:\n",
        "    if counts.bad_lines and not counts.named:\n",
        (f"{ABSENT}::test_a_bad_or_empty_file_removes_nobody",),
    ),
    Defect(
        "a file that was cut off is whole",
        "syncsvc.flow.import_roster",
        "    if not roster.ended:\n",
        "    if False:\n",
        (f"{ABSENT}::test_a_file_that_was_cut_off_removes_nobody",),
    ),
    Defect(
        "one site's roster removes another's people",
        "syncsvc.store.roster_people",
        "chosen.where(~exists().where(mine, theirs.c.run >= whole_run))",
        "chosen.where(true())",
        (f"{ABSENT}::test_two_sites_do_not_remove_each_others_people_and_who_left_both_departs",),
    ),
    Defect(
        "an old file removes who was told of since",
        "syncsvc.store.roster_people",
        " & (_p.changed_at <= since)",
        "",
        (f"{ABSENT}::test_who_changed_after_the_import_began_is_newer_than_the_file_and_stays",),
    ),
    Defect(
        "an import that died in the middle of departures asks the guard again",
        "syncsvc.flow.absent",
        "        if departing is None:\n",
        "        if True:\n",
        (f"{ABSENT}::test_whoever_is_killed_among_the_departures_goes_on_with_them_unasked",),
    ),
    Defect(
        "how far an import has come is not kept with what it recorded",
        "syncsvc.flow.import_roster",
        "        self._reach(tx, counts)\n        return counts\n",
        "        return counts\n",
        (f"{IMPORT}::test_whoever_is_killed_loses_the_batch_in_hand_and_the_next_goes_on_behind_it",),
    ),
    Defect(
        "an import that was taken over goes on",
        "syncsvc.flow.import_roster",
        "if not tx.rosters.reach(",
        "if () == tx.rosters.reach(",
        (f"{IMPORT}::test_an_import_whose_process_is_silent_is_taken_over_and_the_silent_one_stops",),
    ),
    Defect(
        "who stands twice counts twice",
        "syncsvc.flow.compare_roster",
        "if person is None or person in left:",
        "if True:",
        (f"{IMPORT}::test_somebody_who_stands_there_twice_counts_where_they_stand_first",),
    ),
    Defect(
        "every photo is decoded every night",
        "syncsvc.flow.compare_roster",
        "face.picture.origin() == origins[face.id]",
        "face.picture.read().origin == origins[face.id]",
        (f"{IMPORT}::test_the_same_file_again_changes_nothing_and_reads_no_photo",),
    ),
    Defect(
        "a face that the roster does not have stays",
        "syncsvc.flow.compare_roster",
        "stands.faces != len(entry.faces) or ",
        "",
        (f"{IMPORT}::test_a_face_more_than_the_roster_has_goes_and_one_dropped_meanwhile_returns",),
    ),
    Defect(
        "a torn line costs its neighbour a face",
        "syncsvc.intake.roster_rows",
        "yield from _wary(_gathered(lines, titles))",
        "yield from _gathered(lines, titles)",
        (f"{ROSTER}::test_a_line_that_may_be_a_neighbours_skips_the_neighbours_so_that_no_face_is_lost",),
    ),
    Defect(
        "a photo's path leads out of the folder",
        "syncsvc.intake.photo_files",
        "inside = path.is_relative_to(folder) and",
        "inside =",
        (f"{ROSTER}::test_no_file_outside_the_folder_is_ever_opened",),
    ),
)
