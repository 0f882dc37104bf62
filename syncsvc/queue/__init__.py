"""The bell: all Celery, and only here."""
