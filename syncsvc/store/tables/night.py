"""What the caretaker writes down: how libraries were read, what plans took out, and what became of the departed."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text

from syncsvc.store.tables.ground import Instant, Number, metadata

UNFINISHED = "state <> 'confirmed'"

listings = Table(
    "listings",  # one row for each library: how far the reading of all that it holds has come
    metadata,
    Column("library", String(40), primary_key=True),
    Column("run", BigInteger, nullable=False),  # which reading of this library it is, counted from 1
    Column("cause", String(10), nullable=False),  # nightly | command | adopt
    Column("state", String(10), nullable=False),  # reading | read | compared | done | waiting (for an approval)
    Column("cursor", Text),  # where the next page begins; none at the start
    Column("pages", Integer, nullable=False, server_default="0"),
    Column("faces", BigInteger, nullable=False, server_default="0"),  # different ones
    Column("repeated", BigInteger, nullable=False, server_default="0"),  # shown on an earlier page already
    Column("count_before", BigInteger),  # what the library itself said it holds, where it says so
    Column("count_after", BigInteger),
    Column("completeness", String(10)),  # complete | partial | suspect; none while it is being read
    Column("why", Text),  # what makes it partial or suspect, in words
    Column("counts", Text),  # JSON: how many faces are in each situation
    Column("holder", Text),  # who reads, and what tells this lease from their others
    Column("leased_until", Instant),
    Column("started_at", Instant, nullable=False),
    Column("reached_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("complete_at", Instant),  # when a complete one was last finished
)

listed = Table(
    "listed",  # the faces that the newest reading of a library has shown
    metadata,
    Column("library", String(40), primary_key=True),
    Column("run", BigInteger, primary_key=True),
    Column("vendor_face_id", Text, primary_key=True),
    Column("vendor_image_id", Text),
    Column("person_key", Text),
    Column("label", Text),
    sqlite_with_rowid=False,  # the faces stand in the order of their ids, and are compared in it
)

removals = Table(
    "removals",  # how many people plans have taken out of libraries; departures are counted by themselves
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("library", String(40), nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("people", BigInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Index("ix_removals_made_at", "library", "made_at"),
)

erasures = Table(
    "erasures",  # one for each departure: until every library was read and has nothing of the person
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person_id", Text, nullable=False, index=True),
    Column("pseudonym", String(64), nullable=False, index=True),
    Column("revision", BigInteger, nullable=False),  # what the person became by departing
    Column("state", String(10), nullable=False),  # open | verified | confirmed (after the second look)
    Column("opened_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("second_look_at", Instant),
    Column("warned_at", Instant),  # that it may come too late
    Column("overdue_at", Instant),  # when it was said that it came too late
    Column("check_at", Instant, index=True),  # when there is something to do for the whole of it; none: never
    Column("verified_at", Instant),
    Column("finished_at", Instant),
    Index("ix_erasures_unfinished", "due_at", postgresql_where=text(UNFINISHED), sqlite_where=text(UNFINISHED)),
    Index("ix_erasures_opened_at", "opened_at", "id"),
)

erasure_libraries = Table(
    "erasure_libraries",  # what was found out in each library
    metadata,
    Column("erasure_id", String(32), ForeignKey("erasures.id"), primary_key=True),
    Column("library", String(40), primary_key=True),
    Column("verdict", String(20)),  # verified_absent | vendor_accepted | unverifiable | unreachable; none: not yet
    Column("method", Text),  # how it was verified, in words
    Column("reason", Text),  # why it could not be, in words
    Column("faces", Integer, nullable=False, server_default="0"),  # vendor ids that were ever bound
    Column("accepted_at", Instant),
    Column("checked_at", Instant),
    Column("looks", Integer, nullable=False, server_default="0"),  # how often the library was read for it
    Column("came_back", Integer, nullable=False, server_default="0"),  # how often it had something after all
    Column("request_ids", Text, nullable=False, server_default="[]"),  # JSON: operation, the vendor's id, when
    Column("check_at", Instant, index=True),  # when to look next; none: not before the delivery is settled
)

receipts = Table(
    "receipts",  # signed evidence, each one chained to the one before
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),  # counted from 1, without a gap
    Column("erasure_id", String(32), index=True),
    Column("library", String(40)),  # of a library that was retired
    Column("kind", String(10), nullable=False),  # verified | confirmed | overdue | retired
    Column("issued_at", Instant, nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON: what is signed
    Column("hash", String(64), nullable=False),  # SHA-256 of the body
    Column("signature", Text, nullable=False),  # Ed25519 of the body, in base64
    Column("public_key", String(44), nullable=False),  # of the key that signed it, in base64: keys may be replaced
)

unsigned_receipts = Table(
    "unsigned_receipts",  # what was to be said while there was no key to sign it with
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("erasure_id", String(32)),
    Column("library", String(40)),
    Column("kind", String(10), nullable=False),
    Column("facts", Text, nullable=False),  # JSON: the body, without what the chain adds to it
)
