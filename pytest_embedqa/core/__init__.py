"""The pure part: facts, measures and verdicts. Standard library and numpy only, no I/O."""
