"""What each library is owed, and what it is known to hold."""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from syncsvc.store.tables.ground import Instant, Number, metadata

OPEN = "state IN ('due', 'doubtful')"

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
    Column("checking_until", Instant),  # somebody verifies single faces there: nobody else before this
    Column("retiring_at", Instant),  # since then nobody is wanted there any more, and nobody new is sent
    Column("retired_at", Instant),  # when everybody had been taken out, as far as that could be verified
    Column("retirement", Text),  # JSON: how far the retiring has come, or its undoing
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
    # Whose a listed face is. It holds all that comparing needs: a million listed faces are a million steps in order.
    Index("ix_bindings_vendor_face", "library", "vendor_face_id", "removed_at", "person_id"),
    Index(
        "ix_bindings_unverified",  # the order in which single faces are checked
        "library",
        "verified_at",
        "bound_at",
        postgresql_where=text("removed_at IS NULL"),
        sqlite_where=text("removed_at IS NULL"),
    ),
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
    Column("run", BigInteger),  # the listing that showed it; none where an errand did
    Column("reaction", String(8)),  # repair | adopt | report | wait: what is to be done about it
    Column("person_key", Text),  # as the library files it
)
