"""How the property tests run: the same examples every time, and no stop-watch on a shared machine."""

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")
