"""Tests of the way from a spec to vectors."""
