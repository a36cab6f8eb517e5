"""Quality of an encoder on tasks: those of mteb and the user's own."""
