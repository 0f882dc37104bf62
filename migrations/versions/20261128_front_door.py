"""The front door: changes that wait, thin events, SCIM users, callbacks, rosters that go on where they stopped."""

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)

revision = "20261128"
down_revision = "20261121"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("changes", sa.Column("effective_at", INSTANT, nullable=True))
    waiting = sa.text("effect = 'waiting'")
    op.create_index("ix_changes_waiting", "changes", ["effective_at"], postgresql_where=waiting, sqlite_where=waiting)
    op.create_index("ix_changes_received_at", "changes", ["received_at"])
    op.add_column("faces", sa.Column("origin", sa.String(length=64), nullable=True))
    _invalidations()
    _scim()
    _callbacks()
    _rosters()


def _invalidations() -> None:
    due = sa.text("state = 'due'")
    op.create_table(
        "invalidations",
        sa.Column("webhook", sa.String(length=40), nullable=False),
        sa.Column("employee", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("noted_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("leased_until", INSTANT, nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.String(length=10), server_default="due", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("webhook", "employee", name=op.f("pk_invalidations")),
    )
    op.create_index(
        "ix_invalidations_due", "invalidations", ["webhook", "due_at"], postgresql_where=due, sqlite_where=due
    )

    op.create_table(
        "employees",
        sa.Column("webhook", sa.String(length=40), nullable=False),
        sa.Column("employee", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("webhook", "employee", name=op.f("pk_employees")),
    )


def _scim() -> None:
    op.create_table(
        "scim_users",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("user_name", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scim_users")),
        sa.UniqueConstraint("person_id", name=op.f("uq_scim_users_person_id")),
        sa.UniqueConstraint("user_name", name=op.f("uq_scim_users_user_name")),
    )
    op.create_index(op.f("ix_scim_users_external_id"), "scim_users", ["external_id"])
    op.create_index("ix_scim_users_created_at", "scim_users", ["created_at", "id"])


def _callbacks() -> None:
    undelivered = sa.text("state <> 'delivered'")
    op.create_table(
        "watches",
        sa.Column("change_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("told", sa.Text(), server_default="[]", nullable=False),
        sa.Column("check_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_watches")),
    )
    op.create_index(op.f("ix_watches_person_id"), "watches", ["person_id"])
    op.create_index(op.f("ix_watches_check_at"), "watches", ["check_at"])
    op.create_index(op.f("ix_watches_created_at"), "watches", ["created_at"])
    op.create_table(
        "callbacks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("callback", sa.String(length=40), nullable=False),
        sa.Column("type", sa.String(length=24), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.String(length=10), server_default="due", nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callbacks")),
    )
    op.create_index(
        "ix_callbacks_undelivered",
        "callbacks",
        ["callback", "state", "due_at"],
        postgresql_where=undelivered,
        sqlite_where=undelivered,
    )
    op.create_index("ix_callbacks_created_at", "callbacks", ["created_at"])
    op.create_table(
        "callback_targets",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("not_before", INSTANT, nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", INSTANT, nullable=True),
        sa.Column("disabled_at", INSTANT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_callback_targets")),
    )


def _rosters() -> None:
    op.create_table(
        "rosters",
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("bytes_read", sa.BigInteger(), nullable=False),
        sa.Column("lines_read", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("departing", sa.BigInteger(), nullable=True),
        sa.Column("whole_run", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("reached_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_rosters")),
    )
    op.create_table(
        "roster_people",
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "person_id", name=op.f("pk_roster_people")),
    )
    gone = sa.text("departed_at IS NOT NULL")
    op.create_index("ix_people_departed_at", "people", ["departed_at"], postgresql_where=gone, sqlite_where=gone)


def downgrade() -> None:
    for table in (
        "roster_people",
        "rosters",
        "callback_targets",
        "callbacks",
        "watches",
        "scim_users",
        "employees",
        "invalidations",
    ):
        op.drop_table(table)
    op.drop_index("ix_people_departed_at", table_name="people")
    op.drop_column("faces", "origin")
    op.drop_index("ix_changes_received_at", table_name="changes")
    op.drop_index("ix_changes_waiting", table_name="changes")
    op.drop_column("changes", "effective_at")
