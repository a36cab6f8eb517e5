"""Recall of approximate indexes: what comes back of the neighbours that exact search finds."""
