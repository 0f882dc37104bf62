"""Who calls: bearer tokens, kept as digests and compared in constant time."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
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


def may(role: Role) -> Callable[..., Awaitable[Caller]]:
    """A dependency: the caller, if they may act as `role`. 401 for nobody we know, 403 for the wrong role.

    What `WWW-Authenticate` says is RFC 6750's, section 3.
    """

    async def check(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> Caller:
        callers = cast("Callers", request.app.state.callers)
        caller = callers.find(given.credentials) if given is not None else None
        if caller is None:
            words = "a bearer token is needed: Authorization: Bearer ..., as in a [[token]] section"
            why = "Bearer" if given is None else 'Bearer error="invalid_token"'
            raise HTTPException(HTTPStatus.UNAUTHORIZED, words, headers={"WWW-Authenticate": why})
        if role not in _ALSO[caller.role]:
            words = f"the token {caller.name!r} is a {caller.role}'s; needed: {role}"
            why = 'Bearer error="insufficient_scope"'
            raise HTTPException(HTTPStatus.FORBIDDEN, words, headers={"WWW-Authenticate": why})
        return caller

    return check


READS, OPERATES = Depends(may("reader")), Depends(may("operator"))  # for a route that need not know who calls
Reader = Annotated[Caller, READS]
Operator = Annotated[Caller, OPERATES]
IdentityProvider = Annotated[Caller, Depends(may("scim"))]
