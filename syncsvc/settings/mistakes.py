"""Pydantic's findings in our words: which key, and what would be right; never a value."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Mistake = tuple[str, str]
M = TypeVar("M", bound=BaseModel)


def mistakes_of(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[Mistake]:
    """Every finding of `error` as (key, words), the keys as they stand in the file, after `prefix`."""
    found: list[Mistake] = []
    for one in error.errors(include_url=False, include_input=False):
        field = _field(model, one["loc"])
        key = _key(one["loc"], prefix)
        if (key, words := _words(one, field, model)) not in found:
            found.append((key, words))
    return found


def own_options(model: type[M], options: Mapping[str, Any], prefix: str) -> tuple[M | None, list[Mistake]]:
    """A library's or a webhook's `options` as its vendor's or dialect's own type, or what is wrong with them.

    `prefix` is the section's key, like `library[2]`. What the model declares as SecretStr must have been a
    reference in the file; everything else may be one.
    """
    given: dict[str, Any] = {}
    literal: list[Mistake] = []
    for name, value in options.items():
        wants_secret = name in secret_keys(model)
        several = value if isinstance(value, list | tuple) else [value]
        if wants_secret and not all(isinstance(one, SecretStr) for one in several):
            words = 'must be "env:NAME" or "file:/path"; a secret is never written into this file'
            literal.append((f"{prefix}.options.{name}", words))
        given[name] = value if wants_secret else _plain(value)
    try:
        made = model.model_validate(given)
    except ValidationError as error:
        return None, [*literal, *mistakes_of(error, model, f"{prefix}.options")]
    return (None if literal else made), literal


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def secret_keys(model: type[BaseModel]) -> frozenset[str]:
    """The keys whose values may stand in the file by reference only."""
    return frozenset(name for name, field in _by_alias(model).items() if _mentions(field.annotation, SecretStr))


def _words(one: ErrorDetails, field: FieldInfo | None, model: type[BaseModel]) -> str:
    right = field.description if field is not None else None
    match one["type"]:
        case "missing":
            return f"is missing; {right}" if right else "is missing"
        case "extra_forbidden":
            known = list(_by_alias(_owner(model, one["loc"]) or model))
            close = difflib.get_close_matches(str(one["loc"][-1]), known, n=1)
            return f"no such key; did you mean {close[0]}?" if close else f"no such key; known are {', '.join(known)}"
        case "value_error":
            return one["msg"].removeprefix("Value error, ")
        case _:
            return f"must be {right}" if right else one["msg"][:1].lower() + one["msg"][1:]


def _key(loc: tuple[int | str, ...], prefix: str) -> str:
    key = prefix
    for part in loc:
        if isinstance(part, int):
            key += f"[{part}]"
        elif part.isidentifier() or "-" in part:
            key += f".{part}" if key else part
    return key


def _owner(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The model in which the last part of `loc` stands."""
    owner: type[BaseModel] | None = model
    for part in loc[:-1]:
        if isinstance(part, str) and owner is not None:
            field = _by_alias(owner).get(part)
            owner = _model_in(field.annotation) if field is not None else None
    return owner


def _field(model: type[BaseModel], loc: tuple[int | str, ...]) -> FieldInfo | None:
    names = tuple(part for part in loc if isinstance(part, str))
    owner = _owner(model, names)
    return _by_alias(owner).get(names[-1]) if owner is not None and names else None


def _by_alias(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _mentions(annotation: Any, kind: type) -> bool:
    return annotation is kind or any(_mentions(part, kind) for part in get_args(annotation))
