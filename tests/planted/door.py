"""Defects of the front door."""

from tests.planted.defect import Defect

WEBHOOKS = "tests/web/test_webhooks.py"
WAITING = "tests/flow/test_waiting.py"
MANY = "tests/flow/test_record_many.py"

DEFECTS = (
    Defect(
        "anybody's signature is good",
        "syncsvc.intake.dialects.standard",
        "                continue\n",
        "                return\n",
        (f"{WEBHOOKS}::test_who_does_not_sign_well_and_now_is_not_believed",),
    ),
    Defect(
        "one secret at a time",
        "syncsvc.intake.dialects.standard",
        "for one in options.secrets]",
        "for one in options.secrets[:1]]",
        (f"{WEBHOOKS}::test_either_secret_is_good_while_they_rotate",),
    ),
    Defect(
        "a misspelt key is passed over",
        "syncsvc.intake.dialects.words",
        'extra="forbid"',
        'extra="ignore"',
        (f"{WEBHOOKS}::test_what_cannot_be_used_is_named_and_nothing_is_half_written",),
    ),
    Defect(
        "a departure in the future is carried out at once",
        "syncsvc.flow.decide",
        '    return "waiting" if told.effective_at > now else None',
        "    return None",
        (f"{WAITING}::test_a_departure_waits_for_its_moment_and_then_everything_goes",),
    ),
    Defect(
        "a departure that waits strikes after a return",
        "syncsvc.flow.decide",
        "    older = tuple(each.id for each in pending if not _newer(each, told))\n",
        "    older: tuple[str, ...] = ()\n",
        (f"{WAITING}::test_a_departure_at_once_calls_the_waiting_one_off_so_that_it_never_strikes_after_a_return",),
    ),
    Defect(
        "what comes late after the moment brings somebody back",
        "syncsvc.flow.fulfil",
        "newest = max(waiting.version, before.presence or 0, before.faces or 0, *before.face.values())",
        "newest = waiting.version",
        (f"{WAITING}::test_what_was_told_before_the_moment_and_comes_late_brings_nobody_back",),
    ),
    Defect(
        "a second change of one person in a crowd is written over the first",
        "syncsvc.flow.write",
        "known = known if len(answers) == len(fresh) else tx.people.lock_all(known, now)",
        "pass",
        (f"{MANY}::test_written_at_once_is_written_one_by_one",),
    ),
    Defect(
        "one bad message takes the others of its crowd along",
        "syncsvc.flow.record",
        "        if len(messages) == 1:\n            return [error]",
        "        return [error for _ in messages]",
        (f"{MANY}::test_what_cannot_be_written_does_not_keep_out_what_came_with_it",),
    ),
    Defect(
        "a bearer token need not be right",
        "syncsvc.web.callers",
        "if hmac.compare_digest(digest, given):",
        "if digest:",
        ("tests/web/api/test_callers.py",),
    ),
    Defect(
        "photos are fetched from inside",
        "syncsvc.intake.outbound",
        "not (addresses and all(map(is_public, addresses)))",
        "not addresses",
        ("tests/intake/test_fetching.py",),
    ),
    Defect(
        "a roster's guard lets everybody go",
        "syncsvc.model.guard",
        "raise UnsafePlanError(",
        "_ = UnsafePlanError(",
        ("tests/model/test_guard.py",),
    ),
)
