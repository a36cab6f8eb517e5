"""Invariants: properties that must hold for any text encoder, whatever its quality. Each comes from a real fault."""
