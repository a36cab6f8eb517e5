"""The upgrade gate, which tells whether a new encoder is worse than the present encoder, and on which tasks."""
