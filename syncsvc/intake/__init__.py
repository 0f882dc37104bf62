"""The door: the outside's words become ours."""
