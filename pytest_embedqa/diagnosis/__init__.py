"""Diagnosis of a low score: the encoder is changed in one way at a time, on a small slice of the task."""
