"""The front desk: photo links, health and metrics over HTTP."""

from syncsvc.web.app import create_app, serve

__all__ = ["create_app", "serve"]
