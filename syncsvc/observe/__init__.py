"""What can be seen from outside: events and numbers, never a photo, a name or a key."""
