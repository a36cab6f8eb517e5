"""Tests of what checks of retrieval are made of."""
