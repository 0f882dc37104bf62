"""Names for people that only this database can make: a keyed hash of the id, and the key is its own."""

import hashlib
import hmac
import os
from collections.abc import Callable, Collection, MutableMapping

from sqlalchemy import Connection, func, select, update

from syncsvc.model.people import PersonId
from syncsvc.store.dialect import insert
from syncsvc.store.tables import own_keys
from syncsvc.store.vault import KEY_ID_LENGTH, KEY_LENGTH, Vault

NAME = "pseudonym"  # under which the key is stored
PURPOSE = "own key"

OwnKeys = MutableMapping[str, bytes]  # what one process has read of one database's keys


class Pseudonyms:
    """HMAC-SHA256 of a person's id, in hexadecimal. Without the key nobody can tell whose it is, or try ids.

    `kept` is the process' memory of the key; `afterwards` says how to do something once this has committed.
    """

    def __init__(
        self, connection: Connection, vault: Vault, kept: OwnKeys, afterwards: Callable[[Callable[[], object]], None]
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._kept = kept
        self._afterwards = afterwards

    def of(self, person: PersonId) -> str:
        return self.of_all([person])[person]

    def of_all(self, people: Collection[PersonId]) -> dict[PersonId, str]:
        """Makes the key where there is none yet, so it needs a transaction that writes."""
        return _names(self._key() or self._make(), people) if people else {}

    def known(self, people: Collection[PersonId]) -> dict[PersonId, str]:
        """The same; empty where nobody was ever given a pseudonym here. It only reads."""
        key = self._key() if people else None
        return {} if key is None else _names(key, people)

    def reseal(self, limit: int) -> int:
        """Seal up to `limit` of the database's own keys anew that were sealed with an older photo_key; how many."""
        older = func.substr(own_keys.c.sealed, 1, KEY_ID_LENGTH) != self._vault.current
        rows = self._connection.execute(select(own_keys).where(older).limit(limit)).all()
        for row in rows:
            plain = self._vault.open(row.sealed, purpose=PURPOSE, about=row.name)
            sealed = self._vault.seal(plain, purpose=PURPOSE, about=row.name)
            self._connection.execute(update(own_keys).where(own_keys.c.name == row.name).values(sealed=sealed))
        return len(rows)

    def _key(self) -> bytes | None:
        if NAME not in self._kept:
            sealed = self._connection.scalar(select(own_keys.c.sealed).where(own_keys.c.name == NAME))
            if sealed is None:
                return None
            key = self._vault.open(sealed, purpose=PURPOSE, about=NAME)
            # Not before: the row may be of this very transaction, and go with it.
            self._afterwards(lambda: self._kept.__setitem__(NAME, key))
            return key
        return self._kept[NAME]

    def _make(self) -> bytes:
        sealed = self._vault.seal(os.urandom(KEY_LENGTH), purpose=PURPOSE, about=NAME)
        statement = insert(self._connection.dialect.name, own_keys).values(name=NAME, sealed=sealed)
        self._connection.execute(statement.on_conflict_do_nothing())  # whoever comes second waits, and uses the first's
        key = self._key()
        assert key is not None
        return key


def _names(key: bytes, people: Collection[PersonId]) -> dict[PersonId, str]:
    return {person: hmac.new(key, person.encode(), hashlib.sha256).hexdigest() for person in people}
