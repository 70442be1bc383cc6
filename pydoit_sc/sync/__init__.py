"""Local code to workers: archives, where they are staged, safe extraction; for every engine."""
