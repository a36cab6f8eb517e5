"""Quality on tasks: mteb's and the user's own."""
