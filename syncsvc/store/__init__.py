"""The table: all SQL, and only here."""

from syncsvc.store.engine import Store, Transaction

__all__ = ["Store", "Transaction"]
