"""A first suite for a model: what ``embedqa init`` measures and writes. ``template/`` is data that the user replaces."""
