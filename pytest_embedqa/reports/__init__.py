"""What a reader sees: terminal header, table, failure texts."""
