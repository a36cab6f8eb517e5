"""Retrieval pipelines of the user's own: the passages that they return, in whatever form."""
