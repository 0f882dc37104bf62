"""A query language over a face's fields: f:word, f:[1 TO 20] inclusive, f:{1 TO 20} exclusive, * open, && || ( ) !"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Wanted = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r"\s*(&&|\|\||[()!]|[\w-]+:(?:[\[{]\s*\S+ TO \S+?\s*[\]}]|[\w.-]+))")
_SPAN = re.compile(r"([\[{])\s*(\S+) TO (\S+?)\s*([\]}])")


def parse(text: str, fields: Iterable[str]) -> Wanted:
    """What tells whether a face's fields match. LookupError: an unknown field; ValueError: not in the language."""
    parser = _Parser(text, frozenset(fields))
    wanted = parser.either()
    if parser.left:
        raise ValueError(parser.left[0])
    return wanted


def as_text(value: Any) -> str | None:
    """A field's value as it is compared with the text of a query."""
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Parser:
    def __init__(self, text: str, fields: frozenset[str]) -> None:
        self.fields = fields
        self.left: list[str] = []
        place = 0
        while place < len(text.rstrip()):
            found = _TOKEN.match(text, place)
            if found is None:
                raise ValueError(text[place:])
            self.left.append(found[1])
            place = found.end()

    def either(self) -> Wanted:
        return self._joined("||", lambda: self._joined("&&", self._one, all), any)

    def _joined(self, sign: str, part: Callable[[], Wanted], how: Callable[[Iterable[object]], bool]) -> Wanted:
        parts = [part()]
        while self.left[:1] == [sign]:
            self._next()
            parts.append(part())
        return lambda face: how(wanted(face) for wanted in parts)

    def _one(self) -> Wanted:
        sign = self._next()
        if sign == "!":
            inner = self._one()
            return lambda face: not inner(face)
        if sign == "(":
            inner = self.either()
            if self._next() != ")":
                raise ValueError("a parenthesis is not closed")
            return inner
        field, _, value = sign.partition(":")
        if not value:
            raise ValueError(sign)
        if field not in self.fields:
            raise LookupError(field)
        if span := _SPAN.fullmatch(value):
            return _within(field, span)
        return lambda face: as_text(face.get(field)) == value

    def _next(self) -> str:
        if not self.left:
            raise ValueError("ends too early")
        return self.left.pop(0)


def _within(field: str, span: re.Match[str]) -> Wanted:
    low = float("-inf") if span[2] == "*" else float(span[2])
    high = float("inf") if span[3] == "*" else float(span[3])

    def wanted(face: Mapping[str, Any]) -> bool:
        value = face.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        above = value >= low if span[1] == "[" else value > low
        return above and (value <= high if span[4] == "]" else value < high)

    return wanted
