"""Facts, measures and verdicts: the pure part of the package. Standard library and numpy only, no I/O."""
