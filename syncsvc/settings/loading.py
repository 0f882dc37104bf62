"""Finds and reads the configuration, and reports every mistake in it at once."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from syncsvc.model.errors import SettingsError
from syncsvc.settings.mistakes import Mistake, mistakes_of
from syncsvc.settings.references import Surroundings
from syncsvc.settings.schema import Settings

VARIABLE = "SYNCSVC_CONFIG"
DEFAULT = "syncsvc.toml"
_NAMED = {"token": "name", "webhook": "name", "callback": "name", "library": "name", "retention": "source"}


def find(path: Path | None, environ: Mapping[str, str]) -> Path:
    """The configuration file's absolute path: `path`, else $SYNCSVC_CONFIG, else ./syncsvc.toml.

    Raises SettingsError where there is no such file.
    """
    found = path or Path(environ.get(VARIABLE) or DEFAULT)
    if not found.is_file():
        where = "--config" if path else VARIABLE if environ.get(VARIABLE) else "--config or SYNCSVC_CONFIG"
        words = f"there is no such file; name one with {where} (deploy/syncsvc.example.toml explains every key)"
        raise SettingsError([(str(found), words)])
    return found.resolve()


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The configuration. Raises SettingsError with every mistake; no message holds a secret."""
    found = find(path, environ)
    try:
        document = tomllib.loads(found.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([(str(found), f"is not TOML: {_place(error)}")]) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError([(str(found), f"cannot be read ({reason})")]) from None
    return read(document, environ, found.parent)


def read(document: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """The configuration from a parsed document; `folder` is what its relative paths are relative to."""
    whole = {"service": {}, **document}
    mistakes = _twice(whole)
    try:
        settings = Settings.model_validate(whole, context=Surroundings(environ, folder))
    except ValidationError as error:
        raise SettingsError([*mistakes_of(error, Settings), *mistakes]) from None
    if mistakes:
        raise SettingsError(mistakes)
    return settings


def _twice(document: Mapping[str, Any]) -> list[Mistake]:
    """Names that stand twice; looked for here, so that they are reported beside every other mistake."""
    found: list[Mistake] = []
    for section, key in _NAMED.items():
        seen: dict[str, int] = {}
        entries = document.get(section)
        for number, entry in enumerate(entries if isinstance(entries, list) else []):
            name = entry.get(key) if isinstance(entry, dict) else None
            if isinstance(name, str) and name in seen:
                found.append((f"{section}[{number}].{key}", f"is already {section}[{seen[name]}]'s; take another"))
            elif isinstance(name, str):
                seen[name] = number
    return found


def _place(error: tomllib.TOMLDecodeError) -> str:
    """The parser's own words may quote the line; keep only where it is."""
    text = str(error)
    return "mend it " + text[text.rindex("(at") + 1 : -1] if "(at" in text else "mend its last line"
