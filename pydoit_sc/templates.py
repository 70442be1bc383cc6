"""The files of `templates/`: job scripts and starter projects."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
#: Where a wheel has them, and where a checkout does.
_PLACES = (_PACKAGE / "_templates", _PACKAGE.parent / "templates")


def read_template(name: str) -> str:
    """Return the text of a template by its path below `templates/`, such as `slurm.sh`."""
    folder = next(place for place in _PLACES if place.is_dir())
    return (folder / name).read_text(encoding="utf-8")
