"""The neighbours: one file per vendor."""
