"""`demo`: the whole story against the practice rooms."""

from syncsvc.model.errors import SyncsvcError


def demo() -> None:
    """Tell the whole story against the sandboxes, and end with every library in agreement."""
    raise SyncsvcError("the demo is not part of this version yet")
