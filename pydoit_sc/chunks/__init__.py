"""Chunks: the runs that one worker takes, written and read."""
