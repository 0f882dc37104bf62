"""How HR systems speak: one file each, found by its name."""

from syncsvc.intake.dialects.base import ANSWER, Dialect, DialectOptions, Heard, Message, SignatureError
from syncsvc.intake.dialects.loading import dialect_class, dialect_names

__all__ = [
    "ANSWER",
    "Dialect",
    "DialectOptions",
    "Heard",
    "Message",
    "SignatureError",
    "dialect_class",
    "dialect_names",
]
