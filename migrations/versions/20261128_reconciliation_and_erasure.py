"""The night and the end: how libraries are read, what plans take out, erasures and their receipts."""

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "20261128b"
down_revision = "20261128"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _columns()
    _listings()
    _erasures()
    _receipts()


def _index(name: str, table: str, columns: list[str], where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, columns, postgresql_where=condition, sqlite_where=condition)


def _columns() -> None:
    op.add_column("people", sa.Column("expires_at", INSTANT, nullable=True))
    op.add_column("people", sa.Column("leaving_at", INSTANT, nullable=True))
    _index("ix_people_expires_at", "people", ["expires_at"], "expires_at IS NOT NULL")
    op.add_column("changes", sa.Column("approved_by", sa.Text(), nullable=True))
    _index("ix_changes_held", "changes", ["received_at"], "effect = 'held'")
    op.add_column("libraries", sa.Column("checking_until", INSTANT, nullable=True))
    op.add_column("libraries", sa.Column("retiring_at", INSTANT, nullable=True))
    op.add_column("libraries", sa.Column("retired_at", INSTANT, nullable=True))
    op.add_column("libraries", sa.Column("retirement", sa.Text(), nullable=True))
    _index("ix_bindings_unverified", "bindings", ["library", "verified_at", "bound_at"], "removed_at IS NULL")
    _index("ix_bindings_vendor_face", "bindings", ["library", "vendor_face_id", "removed_at", "person_id"])
    op.add_column("situations", sa.Column("run", sa.BigInteger(), nullable=True))
    op.add_column("situations", sa.Column("reaction", sa.String(length=8), nullable=True))
    op.add_column("situations", sa.Column("person_key", sa.Text(), nullable=True))


def _listings() -> None:
    op.create_table(
        "listings",
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False),
        sa.Column("faces", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("repeated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("count_before", sa.BigInteger(), nullable=True),
        sa.Column("count_after", sa.BigInteger(), nullable=True),
        sa.Column("completeness", sa.String(length=10), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("counts", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("leased_until", INSTANT, nullable=True),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("reached_at", INSTANT, nullable=False),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.Column("complete_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("library", name=op.f("pk_listings")),
    )
    op.create_table(
        "listed",
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("vendor_face_id", sa.Text(), nullable=False),
        sa.Column("vendor_image_id", sa.Text(), nullable=True),
        sa.Column("person_key", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("library", "run", "vendor_face_id", name=op.f("pk_listed")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "removals",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_removals")),
    )
    _index("ix_removals_made_at", "removals", ["library", "made_at"])


def _erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("pseudonym", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("second_look_at", INSTANT, nullable=True),
        sa.Column("warned_at", INSTANT, nullable=True),
        sa.Column("overdue_at", INSTANT, nullable=True),
        sa.Column("check_at", INSTANT, nullable=True),
        sa.Column("verified_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    _index("ix_erasures_person_id", "erasures", ["person_id"])
    _index("ix_erasures_pseudonym", "erasures", ["pseudonym"])
    _index("ix_erasures_check_at", "erasures", ["check_at"])
    _index("ix_erasures_unfinished", "erasures", ["due_at"], "state <> 'confirmed'")
    _index("ix_erasures_opened_at", "erasures", ["opened_at", "id"])
    op.create_table(
        "erasure_libraries",
        sa.Column("erasure_id", sa.String(length=32), nullable=False),
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=True),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("faces", sa.Integer(), server_default="0", nullable=False),
        sa.Column("accepted_at", INSTANT, nullable=True),
        sa.Column("checked_at", INSTANT, nullable=True),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("came_back", sa.Integer(), server_default="0", nullable=False),
        sa.Column("request_ids", sa.Text(), server_default="[]", nullable=False),
        sa.Column("check_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasures.id"], name=op.f("fk_erasure_libraries_erasure_id_erasures")),
        sa.PrimaryKeyConstraint("erasure_id", "library", name=op.f("pk_erasure_libraries")),
    )
    _index("ix_erasure_libraries_check_at", "erasure_libraries", ["check_at"])


def _receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("number", NUMBER, autoincrement=False, nullable=False),
        sa.Column("erasure_id", sa.String(length=32), nullable=True),
        sa.Column("library", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("issued_at", INSTANT, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("public_key", sa.String(length=44), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_receipts")),
    )
    op.create_table(
        "unsigned_receipts",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("erasure_id", sa.String(length=32), nullable=True),
        sa.Column("library", sa.String(length=40), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unsigned_receipts")),
    )
    _index("ix_receipts_erasure_id", "receipts", ["erasure_id"])
    op.create_table(
        "own_keys",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_own_keys")),
    )


def downgrade() -> None:
    for table in (
        "own_keys",
        "unsigned_receipts",
        "receipts",
        "erasure_libraries",
        "erasures",
        "removals",
        "listed",
        "listings",
    ):
        op.drop_table(table)
    op.drop_index("ix_bindings_vendor_face", "bindings")
    op.drop_index("ix_bindings_unverified", "bindings")
    for column in ("person_key", "reaction", "run"):
        op.drop_column("situations", column)
    op.drop_column("libraries", "retirement")
    op.drop_column("libraries", "retired_at")
    op.drop_column("libraries", "retiring_at")
    op.drop_column("libraries", "checking_until")
    op.drop_index("ix_changes_held", "changes")
    op.drop_column("changes", "approved_by")
    op.drop_index("ix_people_expires_at", "people")
    op.drop_column("people", "leaving_at")
    op.drop_column("people", "expires_at")
