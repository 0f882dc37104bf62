"""Requests of every sort, sensible and not, for tests that say what holds of all of them."""

from typing import Any

from hypothesis import strategies as st

PATHS = [
    None,
    "",
    "userName",
    "externalId",
    "displayName",
    "active",
    "name",
    "name.givenName",
    "name.nothing",
    "photos",
    "photos.value",
    "photos.type",
    'photos[type eq "photo"]',
    'photos[type eq "photo"].value',
    'photos[type eq "thumbnail"].value',
    'photos[type eq "photo" and primary eq true].display',
    "photos[primary eq true]",
    "photos[value pr].type",
    'photos[not (display eq "left")].value',
    'photos[display eq "left"].primary',
    'emails[type eq "work"].value',
    "emails",
    "urn:ietf:params:scim:schemas:core:2.0:User:displayName",
    "urn:ietf:params:scim:schemas:core:2.0:User",
    'urn:ietf:params:scim:schemas:core:2.0:User:photos[type eq "photo"].value',
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "id",
    "meta",
    "meta.version",
    "schemas",
    "password",
    "photos[",
    "photos[type eq]",
    "a b",
    "..",
]

TEXTS = st.sampled_from(["", "photo", "thumbnail", "left", "Alice", "True", "False", "https://photos.example.com/1"])
ENTRIES = st.dictionaries(
    st.sampled_from(["value", "type", "display", "primary", "Value", "$ref", "nothing"]),
    TEXTS | st.booleans() | st.none() | st.integers(),
    max_size=4,
)
PLAIN: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
)
ANYTHING = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYED = st.dictionaries(
    st.sampled_from([path for path in PATHS if path]), PLAIN | ENTRIES | st.lists(ENTRIES, max_size=3), max_size=3
)
VALUES = ANYTHING | ENTRIES | st.lists(ENTRIES, max_size=3) | KEYED

OPS = st.sampled_from(["add", "replace", "remove", "Add", "Replace", "Remove"])
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"op": OPS, "path": st.sampled_from(PATHS[1:]), "value": VALUES}),
    st.fixed_dictionaries({"op": OPS, "path": st.sampled_from(PATHS[1:])}),
    st.fixed_dictionaries({"op": OPS, "value": KEYED}),
    st.fixed_dictionaries({"op": OPS | PLAIN, "path": ANYTHING, "Value": ANYTHING}),
)
PATCHES = st.fixed_dictionaries({"Operations": st.lists(OPERATIONS, min_size=1, max_size=4)})
NAMES = st.sampled_from(["externalId", "photos", "name", "displayName", "schemas", "id", "meta", "emails", "password"])
USERS = st.builds(
    lambda sane, told: {**sane, **told},
    st.fixed_dictionaries({"userName": st.just("alice")}, optional={"active": st.booleans() | TEXTS}),
    st.dictionaries(NAMES, VALUES, max_size=3),
)
