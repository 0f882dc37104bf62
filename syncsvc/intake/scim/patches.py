"""PATCH as identity providers send it, made into PATCH as RFC 7644 means it; the library applies it."""

from collections.abc import Iterator, Mapping
from inspect import isclass
from typing import Any

from scim2_models import BaseModel, Context, InvalidPathException, InvalidValueException, PatchOp, Path

from syncsvc.intake.scim.models import POLICY, User

MOST_OPERATIONS = 500


def read_patch(said: dict[str, Any]) -> PatchOp[User]:
    """The operations. Raises SCIMException or ValidationError for what no resource could make sense of."""
    plain = {key: _plain(value) if key.lower() == "operations" else value for key, value in said.items()}
    return PatchOp[User].model_validate(plain, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY)


def patched(user: User, patch: PatchOp[User]) -> User:
    """A copy of the resource with the operations carried out. Raises SCIMException."""
    after = user.model_copy(deep=True)
    patch.patch(after, scim_policy=POLICY)
    return after


def _plain(operations: Any) -> Any:
    if not isinstance(operations, list):
        return operations
    if len(operations) > MOST_OPERATIONS:
        raise InvalidValueException(
            detail=f"there are {len(operations)} operations; at most {MOST_OPERATIONS} are taken"
        )
    return [plain for one in operations for plain in (_each(one) if isinstance(one, dict) else [one])]


def _each(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One operation as one or several that mean the same.

    Entra ID puts paths with filters among the keys of a value that has no path of its own, as in
    `{"op": "Add", "value": {"photos[type eq \\"photo\\"].value": ...}}`; RFC 7644 has attribute names there.
    """
    told = {key.lower(): value for key, value in operation.items()}
    path, value = told.get("path"), told.get("value")
    if path is None and isinstance(value, dict):
        named = {key: _single(key, one) for key, one in value.items() if "[" not in key}
        if named or not value:
            yield {**told, "value": named}
        for key, one in value.items():
            if "[" in key:
                yield {**told, "path": key, "value": _single(key, one)}
    elif "value" in told:
        yield {**told, "value": _single(path, value)}
    else:
        yield told


def _single(path: Any, value: Any) -> Any:
    """Entra ID's `[{"value": x}]` for an attribute that holds one plain value: x."""
    match value:
        case [{"value": one}] if isinstance(path, str) and _holds_one(path):
            return one
        case _:
            return value


def _holds_one(path: str) -> bool:
    try:
        found = Path[User](path).resolve()
    except InvalidPathException:
        return False
    if found is None or (found.is_multivalued and found.sub_field_name is None):
        return False
    return not (isclass(found.target_type) and issubclass(found.target_type, BaseModel))
