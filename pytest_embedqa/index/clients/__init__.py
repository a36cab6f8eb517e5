"""Real indexes, a module each, with no more of our own than their clients need."""
