"""The command line."""

from syncsvc.cli.main import main

__all__ = ["main"]
