"""The schema, for SQLite and PostgreSQL alike."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

OPEN = "state IN ('due', 'doubtful')"
DUE = "state = 'due'"
WAITING = "effect = 'waiting'"
GONE = "departed_at IS NOT NULL"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite, which has no such type, keeps sortable text."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Number = BigInteger().with_variant(Integer(), "sqlite")  # SQLite numbers rows by itself only for INTEGER

people = Table(
    "people",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", String(32), nullable=False, unique=True),  # the person's name inside vendor libraries
    Column("revision", BigInteger, nullable=False),
    Column("sealed_name", LargeBinary),
    Column("departed_at", Instant),
    Column("changed_at", Instant, nullable=False),
    Index("ix_people_departed_at", "departed_at", postgresql_where=text(GONE), sqlite_where=text(GONE)),
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

changes = Table(
    "changes",  # the inbox
    metadata,
    Column("id", String(32), primary_key=True),
    Column("source", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("person_id", Text, nullable=False, index=True),
    Column("version", BigInteger),
    Column("received_at", Instant, nullable=False),
    Column("effect", String(16), nullable=False),  # applied | unchanged | old_news | waiting | cancelled | fetching
    Column("revision", BigInteger),  # what the person became by it
    Column("effective_at", Instant),  # a departure that waits for its moment
    UniqueConstraint("source", "source_id"),
    Index("ix_changes_waiting", "effective_at", postgresql_where=text(WAITING), sqlite_where=text(WAITING)),
    Index("ix_changes_received_at", "received_at"),
)

invalidations = Table(
    "invalidations",  # employees of whom an HR system said no more than that something changed: to be fetched
    metadata,
    Column("webhook", String(40), primary_key=True),
    Column("employee", Text, primary_key=True),  # as the HR system numbers them
    Column("generation", BigInteger, nullable=False),  # how often we were told, so that a telling in mid-fetch counts
    Column("noted_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("leased_until", Instant),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("state", String(10), nullable=False, server_default="due"),  # due | exhausted
    Column("reason", Text),
    Column("detail", Text),
    Index("ix_invalidations_due", "webhook", "due_at", postgresql_where=text(DUE), sqlite_where=text(DUE)),
)

employees = Table(
    "employees",  # who an HR system's employee is to us, where that is not the employee's own id
    metadata,
    Column("webhook", String(40), primary_key=True),
    Column("employee", Text, primary_key=True),
    Column("person_id", Text, nullable=False),
)

scim_users = Table(
    "scim_users",  # what identity providers know of people besides their faces
    metadata,
    Column("id", String(36), primary_key=True),
    Column("person_id", Text, nullable=False, unique=True),
    Column("user_name", Text, nullable=False, unique=True),  # lower case: SCIM's is not case-exact
    Column("external_id", Text, index=True),
    Column("sealed", LargeBinary, nullable=False),  # the resource as JSON; it holds names
    Column("version", BigInteger, nullable=False),  # the ETag's
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index("ix_scim_users_created_at", "created_at", "id"),  # the order in which pages are read
)

watches = Table(
    "watches",  # changes of which somebody is to be told what became
    metadata,
    Column("change_id", String(32), primary_key=True),
    Column("person_id", Text, nullable=False, index=True),
    Column("told", Text, nullable=False, server_default="[]"),  # JSON: whose refusals were told already
    Column("check_at", Instant, nullable=False, index=True),  # when to look at it again
    Column("created_at", Instant, nullable=False, index=True),
)

callbacks = Table(
    "callbacks",  # messages that we owe to others
    metadata,
    Column("id", String(32), primary_key=True),  # the message's own id, the same at every try
    Column("callback", String(40), nullable=False),
    Column("type", String(24), nullable=False),
    Column("body", Text, nullable=False),  # JSON; ids and reasons, no names and no pictures
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("state", String(10), nullable=False, server_default="due"),  # due | delivered | given_up
    Column("detail", Text),
    Index(
        "ix_callbacks_undelivered",
        "callback",
        "state",
        "due_at",
        postgresql_where=text("state <> 'delivered'"),
        sqlite_where=text("state <> 'delivered'"),
    ),
    Index("ix_callbacks_created_at", "created_at"),
)

callback_targets = Table(
    "callback_targets",  # whether a callback's address works
    metadata,
    Column("name", String(40), primary_key=True),
    Column("not_before", Instant),  # somebody is sending, or the address is given a rest
    Column("failures", Integer, nullable=False, server_default="0"),  # rounds in a row in which nothing was accepted
    Column("failing_since", Instant),
    Column("disabled_at", Instant),
    Column("reason", Text),  # the last failure in words, or why it is disabled
)

rosters = Table(
    "rosters",  # one row for each source of rosters: how far its newest file has come
    metadata,
    Column("source", String(40), primary_key=True),
    Column("run", BigInteger, nullable=False),  # which import of this source it is, counted from 1
    Column("fingerprint", String(64), nullable=False),  # of the file and of where its photos are
    Column("bytes_read", BigInteger, nullable=False),  # everything before is recorded
    Column("lines_read", BigInteger, nullable=False),
    Column("counts", Text, nullable=False),  # JSON
    Column("holder", Text),  # the process that imports it
    Column("departing", BigInteger),  # how many absent people go, once that is decided
    Column("whole_run", BigInteger, nullable=False, server_default="0"),  # the last one that named everybody
    Column("started_at", Instant, nullable=False),
    Column("reached_at", Instant, nullable=False),
    Column("finished_at", Instant),
)

roster_people = Table(
    "roster_people",  # whom the rosters of a source name, and which import named them last
    metadata,
    Column("source", String(40), primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("run", BigInteger, nullable=False),
)

libraries = Table(
    "libraries",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("vendor", String(40), nullable=False),
    Column("policy", String(16), nullable=False),
    Column("configured", Integer, nullable=False, server_default="1"),  # 0: no longer in the configuration
    Column("state", String(10), nullable=False, server_default="active"),  # active | paused | halted
    Column("reason", Text),
    Column("detail", Text),
    Column("since", Instant, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row, of the library and not of a person
    Column("open_until", Instant),  # the breaker: nothing is sent before this
    Column("reconciled_at", Instant),
)

deliveries = Table(
    "deliveries",  # the outbox: what one library is owed for one person
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("library", String(40), ForeignKey("libraries.name"), nullable=False),
    Column("person_id", Text, ForeignKey("people.id"), nullable=False),
    Column("wanted", BigInteger, nullable=False),
    Column("wanted_faces", Integer, nullable=False),
    Column("wanted_at", Instant, nullable=False),
    Column("verb", String(8), nullable=False),  # delete | replace
    Column("rank", Instant, nullable=False),  # the order in which due deliveries are taken; fixed, so nothing starves
    Column("state", String(10), nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("busy_until", Instant),  # rung or leased: not to be rung again before
    Column("leased_until", Instant),
    Column("lease", Text),  # who holds it, "/", and what tells this lease from their others
    Column("leased_revision", BigInteger),
    Column("leased_faces", Integer),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("doubted_revision", BigInteger),  # adds whose answers were lost: which revision's, how many at most
    Column("doubted_adds", Integer, nullable=False, server_default="0"),
    Column("reason", Text),
    Column("detail", Text),
    Column("face_id", Text),
    Column("held", BigInteger),  # the revision that the library was last brought to
    Column("settled_at", Instant),
    UniqueConstraint("library", "person_id"),
    Index("ix_deliveries_open", "library", "rank", postgresql_where=text(OPEN), sqlite_where=text(OPEN)),
    Index(
        "ix_deliveries_busy",
        "library",
        "busy_until",
        postgresql_where=text("busy_until IS NOT NULL"),
        sqlite_where=text("busy_until IS NOT NULL"),
    ),
    Index(
        "ix_deliveries_unsettled",
        "library",
        "state",
        "due_at",
        postgresql_where=text("state <> 'synced'"),
        sqlite_where=text("state <> 'synced'"),
    ),
    Index("ix_deliveries_person", "person_id"),
)

bindings = Table(
    "bindings",  # every vendor face id that was ever ours; removed_at says that it is no longer held
    metadata,
    Column("library", String(40), primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("vendor_face_id", Text, primary_key=True),
    Column("vendor_image_id", Text),
    Column("face_id", Text),
    Column("digest", String(64)),
    Column("bound_at", Instant, nullable=False),
    Column("verified_at", Instant),
    Column("removed_at", Instant),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("library", String(40), nullable=False),
    Column("person_id", Text, nullable=False),
    Column("verb", String(8), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("calls", Text, nullable=False),  # JSON: operation, outcome, seconds, the vendor's request id
    Index("ix_attempts_person", "person_id", "library", "id"),
)

situations = Table(
    "situations",  # what was odd about a face in a library, until it no longer is
    metadata,
    Column("library", String(40), primary_key=True),
    Column("person_id", Text, primary_key=True),
    Column("vendor_face_id", Text, primary_key=True),  # "" where only a count disagreed
    Column("situation", String(10), nullable=False),
    Column("note", Text, nullable=False),
    Column("noted_at", Instant, nullable=False),
)
