"""A Make-style tool on doit that runs batches of independent shell commands."""

__version__ = "0.1.0"
