"""Tests of tasks, their data and their published scores."""
