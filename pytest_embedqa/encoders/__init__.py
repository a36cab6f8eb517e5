"""Encoders: from a spec string to checked, stored, normalised vectors."""
