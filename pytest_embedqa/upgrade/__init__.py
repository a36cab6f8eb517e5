"""The upgrade gate: is a new encoder worse than the one in use, and on what?"""
