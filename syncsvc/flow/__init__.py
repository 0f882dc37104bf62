"""The corridor: record, deliver, attempt, settle; one verb per file."""
