"""A Make-style tool on doit that runs batches of independent shell commands."""

import sys

if sys.argv[:1] == ["-m"] and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # `python -m pydoit_sc…`: Python looks for modules in this folder first, where a user may well have a `queue.py`.
    # From 3.11 on, `-P` does the same.
    del sys.path[0]

__version__ = "0.1.0"
