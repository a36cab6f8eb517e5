"""One file an engine. Each is registered by the entry-point group ``pytest_embedqa.engines``."""
