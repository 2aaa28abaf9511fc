"""The schema's revisions, from the first one on."""
