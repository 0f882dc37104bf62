"""What `status` says under its table."""

from datetime import UTC, datetime, timedelta

from syncsvc.cli.commands import _desk
from tests.cli.running import Run


def test_employees_who_cannot_be_fetched_stand_under_the_table(run: Run) -> None:
    assert run("db", "upgrade").code == 0
    assert run("library", "list").code == 0
    assert "cannot be asked" not in run("status").out
    now = datetime.now(UTC)
    for employee, exhausted in (("7", False), ("8", True)):
        with _desk.house.store.transaction() as tx:
            tx.invalidations.note("people", [employee], now - timedelta(seconds=2))
            taken = tx.invalidations.claim("people", now, now + timedelta(seconds=60))
            assert taken is not None
            tx.invalidations.fail(
                taken,
                due_at=now + timedelta(seconds=60),
                attempts=1,
                reason="http-401",
                detail="the HR system does not accept our credentials",
                exhausted=exhausted,
            )

    shown = " ".join(run("status").out.split())

    assert "people cannot be asked about 2 employees (1 given up): the HR system does not accept our" in shown
