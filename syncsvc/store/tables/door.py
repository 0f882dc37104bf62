"""What the outside told us, and what we tell it."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint, text

from syncsvc.store.tables.ground import Instant, metadata

DUE = "state = 'due'"
WAITING = "effect = 'waiting'"
HELD_BACK = "effect = 'held'"

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
    Column("effect", String(16), nullable=False),  # see `store.changes.Entry`
    Column("revision", BigInteger),  # what the person became by it
    Column("effective_at", Instant),  # a departure that waits for its moment
    Column("approved_by", Text),  # who let a departure go that the removal guard had held back
    UniqueConstraint("source", "source_id"),
    Index("ix_changes_waiting", "effective_at", postgresql_where=text(WAITING), sqlite_where=text(WAITING)),
    Index("ix_changes_held", "received_at", postgresql_where=text(HELD_BACK), sqlite_where=text(HELD_BACK)),
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
