"""The outputs of a run: terminal header, table, failure texts, files."""
