"""The seam: what a face library is, whoever sells it."""
