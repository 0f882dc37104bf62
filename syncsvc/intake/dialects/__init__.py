"""How HR systems speak: one file each, found by its name."""

from syncsvc.intake.dialects.base import Dialect, DialectOptions, Heard, Message, Photos, SignatureError
from syncsvc.intake.dialects.loading import dialect_class, dialect_names

__all__ = [
    "Dialect",
    "DialectOptions",
    "Heard",
    "Message",
    "Photos",
    "SignatureError",
    "dialect_class",
    "dialect_names",
]
