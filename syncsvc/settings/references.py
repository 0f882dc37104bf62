"""Secrets are named in the configuration and never written there: "env:NAME" or "file:/path"."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretBytes, SecretStr, ValidationInfo

KEY_BYTES = 32
WEBHOOK_KEY_BYTES = range(24, 65)  # Standard Webhooks, "Signature scheme": 24 to 64 random bytes


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where references lead: the environment, and the folder of the configuration file for relative paths."""

    environ: Mapping[str, str]
    folder: Path


def surroundings(info: ValidationInfo) -> Surroundings:
    found = info.context
    return found if isinstance(found, Surroundings) else Surroundings({}, Path.cwd())


def is_reference(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("env:", "file:"))


def resolve(reference: object, info: ValidationInfo) -> str:
    """What "env:NAME" or "file:/path" stands for. Raises ValueError in words that never quote a value."""
    if not isinstance(reference, str) or not is_reference(reference):
        raise ValueError('must be "env:NAME" or "file:/path"; a secret is never written into this file')
    kind, _, name = reference.partition(":")
    around = surroundings(info)
    if kind == "env":
        if not around.environ.get(name):
            raise ValueError(f"the environment variable {name} is not set or empty; set it")
        return around.environ[name]
    path = around.folder / name
    try:
        content = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ValueError(f"the file {path} cannot be read ({reason}); put the secret there") from None
    if not content:
        raise ValueError(f"the file {path} is empty; put the secret there")
    return content


def secret(value: object, info: ValidationInfo) -> SecretStr:
    return SecretStr(resolve(value, info))


def secret_if_reference(value: Any, info: ValidationInfo) -> Any:
    """For values that may be secret: a reference, also in a list, becomes a SecretStr; all else stays as it is."""
    if isinstance(value, list):
        return [secret_if_reference(one, info) for one in value]
    return SecretStr(resolve(value, info)) if is_reference(value) else value


def plain_if_reference(value: Any, info: ValidationInfo) -> Any:
    """For values that are no secret but may come from the environment."""
    return resolve(value, info) if is_reference(value) else value


def key(value: object, info: ValidationInfo) -> SecretBytes:
    """A key of 32 bytes, given as base64."""
    try:
        content = base64.b64decode(resolve(value, info), validate=True)
    except binascii.Error:
        content = b""
    if len(content) != KEY_BYTES:
        raise ValueError("does not lead to base64 of 32 bytes; `syncsvc keygen` prints a fresh one")
    return SecretBytes(content)


def keys(value: object, info: ValidationInfo) -> tuple[SecretBytes, ...]:
    """One key or a list of them: the first encrypts, all decrypt."""
    if not isinstance(value, list):
        return (key(value, info),)
    if not value:
        raise ValueError("is an empty list; `syncsvc keygen` prints a fresh key")
    found, wrong = [], []
    for number, one in enumerate(value):
        try:
            found.append(key(one, info))
        except ValueError as error:
            wrong.append(f"[{number}] {error}")
    if wrong:
        raise ValueError("; ".join(wrong))
    return tuple(found)


def webhook_secret(value: object, info: ValidationInfo) -> SecretStr:
    """A Standard Webhooks secret: `whsec_` and base64."""
    text = resolve(value, info)
    try:
        length = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except binascii.Error:
        length = 0
    if not text.startswith("whsec_") or length not in WEBHOOK_KEY_BYTES:
        raise ValueError("does not lead to a Standard Webhooks secret: whsec_ and base64 of 24 to 64 bytes")
    return SecretStr(text)
