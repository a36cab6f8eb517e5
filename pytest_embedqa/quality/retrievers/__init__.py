"""Retrievers that tasks evaluate: pipelines of the user's own, HTTP services, TREC run files."""
