"""Keeps vendor face libraries equal to one canonical database of people and faces."""
