"""Lists of users: filtered and sorted as RFC 7644 section 3.4.2 says, in a memory that does not grow with them."""

from collections.abc import Callable, Iterable
from typing import Any

from scim2_models import ScimFilter, SearchRequest, TooManyException
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from syncsvc.intake.scim.models import User
from syncsvc.intake.scim.resources import user_name_key
from syncsvc.store import Transaction
from syncsvc.store.scim_users import Key, Order, ScimUser

MOST_RESULTS = 200
MOST_SORTED = 10_000
_PAGE = 100  # where a request does not say
_FARTHEST = 2**31 - 1

_KEYS: dict[str, Key] = {"id": "id", "user_name": "user_name", "external_id": "external_id"}
_ORDERS: dict[str, Order] = {"userName": "user_name", "meta.created": "created_at"}

Loaded = Callable[[ScimUser], User]


def find(tx: Transaction, request: SearchRequest[User], loaded: Loaded) -> tuple[int, list[User]]:
    """How many match in all, and the page that is asked for.

    userName, externalId and id are found by index; any other filter reads every user, a few at a time. Raises
    TooManyException for more users than are sorted in memory.
    """
    start = min(request.start_index_0 or 0, _FARTHEST)
    count = _PAGE if request.count is None else min(request.count, MOST_RESULTS)
    order = _ORDERS.get(str(request.sort_by)) if request.sort_by else "created_at"
    descending = request.sort_by is not None and request.sort_order == SearchRequest.SortOrder.descending
    if request.filter is None and order is not None:
        page = tx.scim_users.page(start, count, order=order, descending=descending) if count else []
        return tx.scim_users.count(), [loaded(one) for one in page]
    matching = _matching(tx, request.filter, loaded)
    if request.sort_by is not None:
        users = _sorted(matching, request, descending=descending)
        return len(users), users[start : start + count]
    total, page_ = 0, []
    for user in matching:
        if start <= total < start + count:
            page_.append(user)
        total += 1
    return total, page_


def _matching(tx: Transaction, wanted: ScimFilter[User] | None, loaded: Loaded) -> Iterable[User]:
    key = _indexed(wanted, wanted.ast) if wanted is not None else None
    stored = tx.scim_users.each() if key is None else tx.scim_users.matching(*key)
    users = (loaded(one) for one in stored)
    return users if wanted is None else (user for user in users if wanted.match(user))


def _indexed(wanted: ScimFilter[User], node: FilterNode) -> tuple[Key, str] | None:
    """A key that every match must have, where the filter names one."""
    match node:
        case LogicalExpr(op=LogicalOperator.and_, terms=terms):
            return next((key for term in terms if (key := _indexed(wanted, term)) is not None), None)
        case Comparison(attr_path=path, op=CompareOperator.eq, value=str(value)):
            found = wanted.resolve_comparison(path)
            name = found.field_name if found is not None and found.sub_field_name is None else ""
            if name not in _KEYS:
                return None
            return _KEYS[name], user_name_key(value) if name == "user_name" else value
        case _:
            return None


def _sorted(users: Iterable[User], request: SearchRequest[User], *, descending: bool) -> list[User]:
    keyed: list[tuple[tuple[bool, Any], User]] = []
    for user in users:
        if len(keyed) == MOST_SORTED:
            words = f"more than {MOST_SORTED:,} users match; filter further, or sort by userName without a filter"
            raise TooManyException(detail=words)
        value = request.sort_value(user)
        keyed.append(((value is None, "" if value is None else value), user))
    return [user for _, user in sorted(keyed, key=lambda one: one[0], reverse=descending)]
