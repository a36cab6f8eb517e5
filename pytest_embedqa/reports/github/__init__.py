"""What GitHub shows of a run: the summary of a job, and annotations on lines of tests."""
