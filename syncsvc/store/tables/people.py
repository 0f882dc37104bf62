"""Canonical people and their faces, and how far each source has counted."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from syncsvc.store.tables.ground import Instant, metadata

GONE = "departed_at IS NOT NULL"
EXPIRES = "expires_at IS NOT NULL"

people = Table(
    "people",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),  # the person's name inside vendor libraries
    Column("revision", BigInteger, nullable=False),
    Column("sealed_name", LargeBinary),
    Column("departed_at", Instant),
    Column("changed_at", Instant, nullable=False),
    Column("expires_at", Instant),  # when they depart by themselves
    Column("leaving_at", Instant),  # since then they would be gone, had their departure not been held back
    Index("ix_people_departed_at", "departed_at", postgresql_where=text(GONE), sqlite_where=text(GONE)),
    Index("ix_people_expires_at", "expires_at", postgresql_where=text(EXPIRES), sqlite_where=text(EXPIRES)),
)

photos = Table(
    "photos",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the plain content: one stored copy each
    Column("kind", String(8), nullable=False),  # photo | feature
    Column("media_type", String(40), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("stored_at", Instant, nullable=False),
)

faces = Table(
    "faces",
    metadata,
    Column("person_id", Text, ForeignKey("people.id"), primary_key=True),
    Column("face_id", Text, primary_key=True),
    Column("digest", String(64), ForeignKey("photos.digest"), nullable=False, index=True),
    Column("revision", BigInteger, nullable=False),
    Column("origin", String(64)),  # SHA-256 of the bytes as they came: sent again, they need not be read again
)

versions = Table(
    "versions",  # how far each source has counted a person's changes, where it counts them
    metadata,
    Column("person_id", Text, ForeignKey("people.id"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("part", String(8), primary_key=True),  # presence | faces | face | stay
    Column("face_id", Text, primary_key=True, server_default=""),  # "" unless the part is one face
    Column("version", BigInteger, nullable=False),
)

lost_faces = Table(
    "lost_faces",  # pictures no longer wanted, kept while an add of one may be under way or unanswered
    metadata,
    Column("person_id", Text, ForeignKey("people.id"), primary_key=True),
    Column("face_id", Text, primary_key=True),
    Column("digest", String(64), ForeignKey("photos.digest"), primary_key=True, index=True),
)

own_keys = Table(
    "own_keys",  # keys that this database made for itself, sealed
    metadata,
    Column("name", String(40), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
