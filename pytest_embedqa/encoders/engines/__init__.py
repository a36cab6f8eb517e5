"""Engines, one file for each; the entry-point group ``pytest_embedqa.engines`` registers them."""
