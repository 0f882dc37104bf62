"""Who calls: bearer tokens, kept as digests and compared in constant time."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from syncsvc.settings import TokenSettings

Role = Literal["reader", "operator", "scim"]
_ALSO: dict[Role, frozenset[Role]] = {  # whoever may change may look
    "reader": frozenset({"reader"}),
    "operator": frozenset({"reader", "operator"}),
    "scim": frozenset({"scim"}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """A token's name and role; the token itself is not kept."""

    name: str
    role: Role


class Callers:
    """Everybody who may call. Only SHA-256 digests of their tokens are in memory."""

    def __init__(self, tokens: Sequence[TokenSettings]) -> None:
        self._known = [(_digest(one.secret.get_secret_value()), Caller(one.name, one.role)) for one in tokens]

    def find(self, token: str) -> Caller | None:
        """Whose token it is. All are compared, each in constant time, so that the time tells nothing."""
        given, found = _digest(token), None
        for digest, caller in self._known:
            if hmac.compare_digest(digest, given):
                found = caller
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


_bearer = HTTPBearer(auto_error=False, description="A token of a [[token]] section.")


def may(role: Role) -> Callable[..., Caller]:
    """A dependency: the caller, if they may act as `role`. 401 for nobody we know, 403 for the wrong role."""

    def check(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Caller:
        callers = cast("Callers", request.app.state.callers)
        caller = callers.find(given.credentials) if given is not None else None
        if caller is None:
            words = "a bearer token is needed: Authorization: Bearer ..., as in a [[token]] section"
            raise HTTPException(HTTPStatus.UNAUTHORIZED, words, headers={"WWW-Authenticate": "Bearer"})
        if role not in _ALSO[caller.role]:
            raise HTTPException(HTTPStatus.FORBIDDEN, f"the token {caller.name!r} is a {caller.role}'s; needed: {role}")
        return caller

    return check


Reader = Annotated[Caller, Depends(may("reader"))]
Operator = Annotated[Caller, Depends(may("operator"))]
IdentityProvider = Annotated[Caller, Depends(may("scim"))]
