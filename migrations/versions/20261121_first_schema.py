"""The first schema: people and faces, the inbox, the outbox, and what libraries hold."""

import sqlalchemy as sa
from alembic import op

INSTANT = sa.DateTime(timezone=True)

revision = "20261121"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("verb", sa.String(length=8), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("calls", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_person", "attempts", ["person_id", "library", "id"], unique=False)

    op.create_table(
        "bindings",
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("vendor_face_id", sa.Text(), nullable=False),
        sa.Column("vendor_image_id", sa.Text(), nullable=True),
        sa.Column("face_id", sa.Text(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("bound_at", INSTANT, nullable=False),
        sa.Column("verified_at", INSTANT, nullable=True),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("library", "person_id", "vendor_face_id", name=op.f("pk_bindings")),
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("effect", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
        sa.UniqueConstraint("source", "source_id", name=op.f("uq_changes_source_source_id")),
    )
    op.create_index(op.f("ix_changes_person_id"), "changes", ["person_id"], unique=False)

    op.create_table(
        "libraries",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("vendor", sa.String(length=40), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("configured", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.String(length=10), server_default="active", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("open_until", INSTANT, nullable=True),
        sa.Column("reconciled_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_libraries")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=True),
        sa.Column("departed_at", INSTANT, nullable=True),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("key", name=op.f("uq_people_key")),
    )
    op.create_table(
        "photos",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("media_type", sa.String(length=40), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("stored_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_photos")),
    )
    op.create_table(
        "situations",
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("vendor_face_id", sa.Text(), nullable=False),
        sa.Column("situation", sa.String(length=10), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("noted_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("library", "person_id", "vendor_face_id", name=op.f("pk_situations")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("library", sa.String(length=40), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("wanted", sa.BigInteger(), nullable=False),
        sa.Column("wanted_faces", sa.Integer(), nullable=False),
        sa.Column("wanted_at", INSTANT, nullable=False),
        sa.Column("verb", sa.String(length=8), nullable=False),
        sa.Column("rank", INSTANT, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("busy_until", INSTANT, nullable=True),
        sa.Column("leased_until", INSTANT, nullable=True),
        sa.Column("lease", sa.Text(), nullable=True),
        sa.Column("leased_revision", sa.BigInteger(), nullable=True),
        sa.Column("leased_faces", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("doubted_revision", sa.BigInteger(), nullable=True),
        sa.Column("doubted_adds", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("face_id", sa.Text(), nullable=True),
        sa.Column("held", sa.BigInteger(), nullable=True),
        sa.Column("settled_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["library"], ["libraries.name"], name=op.f("fk_deliveries_library_libraries")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_deliveries_person_id_people")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("library", "person_id", name=op.f("uq_deliveries_library_person_id")),
    )
    op.create_index(
        "ix_deliveries_busy",
        "deliveries",
        ["library", "busy_until"],
        unique=False,
        postgresql_where=sa.text("busy_until IS NOT NULL"),
        sqlite_where=sa.text("busy_until IS NOT NULL"),
    )
    op.create_index(
        "ix_deliveries_open",
        "deliveries",
        ["library", "rank"],
        unique=False,
        postgresql_where=sa.text("state IN ('due', 'doubtful')"),
        sqlite_where=sa.text("state IN ('due', 'doubtful')"),
    )
    op.create_index("ix_deliveries_person", "deliveries", ["person_id"], unique=False)
    op.create_index(
        "ix_deliveries_unsettled",
        "deliveries",
        ["library", "state", "due_at"],
        unique=False,
        postgresql_where=sa.text("state <> 'synced'"),
        sqlite_where=sa.text("state <> 'synced'"),
    )

    op.create_table(
        "faces",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("face_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["photos.digest"], name=op.f("fk_faces_digest_photos")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_faces_person_id_people")),
        sa.PrimaryKeyConstraint("person_id", "face_id", name=op.f("pk_faces")),
    )
    op.create_index(op.f("ix_faces_digest"), "faces", ["digest"], unique=False)

    op.create_table(
        "lost_faces",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("face_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["photos.digest"], name=op.f("fk_lost_faces_digest_photos")),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_lost_faces_person_id_people")),
        sa.PrimaryKeyConstraint("person_id", "face_id", "digest", name=op.f("pk_lost_faces")),
    )
    op.create_index(op.f("ix_lost_faces_digest"), "lost_faces", ["digest"], unique=False)

    op.create_table(
        "versions",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("part", sa.String(length=8), nullable=False),
        sa.Column("face_id", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_versions_person_id_people")),
        sa.PrimaryKeyConstraint("person_id", "source", "part", "face_id", name=op.f("pk_versions")),
    )


def downgrade() -> None:
    op.drop_table("versions")
    op.drop_index(op.f("ix_lost_faces_digest"), table_name="lost_faces")

    op.drop_table("lost_faces")
    op.drop_index(op.f("ix_faces_digest"), table_name="faces")

    op.drop_table("faces")
    op.drop_index(
        "ix_deliveries_unsettled",
        table_name="deliveries",
        postgresql_where=sa.text("state <> 'synced'"),
        sqlite_where=sa.text("state <> 'synced'"),
    )
    op.drop_index("ix_deliveries_person", table_name="deliveries")
    op.drop_index(
        "ix_deliveries_open",
        table_name="deliveries",
        postgresql_where=sa.text("state IN ('due', 'doubtful')"),
        sqlite_where=sa.text("state IN ('due', 'doubtful')"),
    )
    op.drop_index(
        "ix_deliveries_busy",
        table_name="deliveries",
        postgresql_where=sa.text("busy_until IS NOT NULL"),
        sqlite_where=sa.text("busy_until IS NOT NULL"),
    )

    op.drop_table("deliveries")
    op.drop_table("situations")
    op.drop_table("photos")
    op.drop_table("people")
    op.drop_table("libraries")
    op.drop_index(op.f("ix_changes_person_id"), table_name="changes")

    op.drop_table("changes")
    op.drop_table("bindings")
    op.drop_index("ix_attempts_person", table_name="attempts")

    op.drop_table("attempts")
