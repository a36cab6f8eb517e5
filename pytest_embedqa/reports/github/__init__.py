"""The reports for GitHub: a job's summary, and annotations on lines of tests."""
