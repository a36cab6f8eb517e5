"""Why a score is low: one thing is changed at a time, on a small slice of the task."""
