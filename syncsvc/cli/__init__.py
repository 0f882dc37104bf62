"""The command line."""

from syncsvc.cli.commands import main

__all__ = ["main"]
