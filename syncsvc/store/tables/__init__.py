"""The schema, for SQLite and PostgreSQL alike."""

from syncsvc.store.tables.corridor import attempts, bindings, deliveries, libraries, situations
from syncsvc.store.tables.door import (
    callback_targets,
    callbacks,
    changes,
    employees,
    invalidations,
    roster_people,
    rosters,
    scim_users,
    watches,
)
from syncsvc.store.tables.ground import Instant, metadata
from syncsvc.store.tables.night import (
    erasure_libraries,
    erasures,
    listed,
    listings,
    receipts,
    removals,
    unsigned_receipts,
)
from syncsvc.store.tables.people import faces, lost_faces, own_keys, people, photos, versions

__all__ = [
    "Instant",
    "attempts",
    "bindings",
    "callback_targets",
    "callbacks",
    "changes",
    "deliveries",
    "employees",
    "erasure_libraries",
    "erasures",
    "faces",
    "invalidations",
    "libraries",
    "listed",
    "listings",
    "lost_faces",
    "metadata",
    "own_keys",
    "people",
    "photos",
    "receipts",
    "removals",
    "roster_people",
    "rosters",
    "scim_users",
    "situations",
    "unsigned_receipts",
    "versions",
    "watches",
]
