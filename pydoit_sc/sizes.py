"""Sizes of memory as people write them: `4 GB`, `512 MiB`, and back."""

from __future__ import annotations

import re

EXPECTED = 'a size such as "4 GB" or "512 MiB"'
SMALLEST = 1_000_000  # bytes: less is a mistake, such as 4 for 4 GB
LARGEST = 10**18

_UNITS: dict[str, int] = {
    name: base**power
    for power, prefix in enumerate("kMGTP", 1)
    for name, base in ((f"{prefix}B", 1000), (f"{prefix.upper()}iB", 1024))
}
_BYTES = {name.lower(): size for name, size in _UNITS.items()}
_SIZE = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-z]+)\s*")


def parse_size(value: object) -> int:
    """Return a size in bytes; raise ValueError with what was expected.

    >>> parse_size("1.5 GB"), parse_size("2gib"), parse_size(1_000_000)
    (1500000000, 2147483648, 1000000)
    """
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is not None and (unit := _BYTES.get(match[2].lower())):
        size = round(float(match[1]) * unit)
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        raise ValueError(EXPECTED)
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"{EXPECTED}, of at least 1 MB")
    return size


def show_size(size: int) -> str:
    """Return a size in the largest unit that gives it in few digits, else three figures of it in a decimal one.

    >>> show_size(1_500_000_000), show_size(512 << 20), show_size(4 << 30), show_size(1_234_567_890), show_size(7)
    ('1.5 GB', '512 MiB', '4 GiB', '1.23 GB', '0.007 kB')
    >>> show_size(999_499_999), show_size(999_999_999)
    ('999 MB', '1 GB')
    """
    for name, unit in sorted(_UNITS.items(), key=lambda item: -item[1]):
        if unit <= size < 10_000 * unit and round(size / unit, 2) * unit == size:
            return f"{size / unit:g} {name}"
    rounded = float(f"{size:.3g}")
    name = next((name for name in ("PB", "TB", "GB", "MB") if rounded >= _UNITS[name]), "kB")
    return f"{rounded / _UNITS[name]:.3g} {name}"
