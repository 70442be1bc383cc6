"""Sizes of memory, read and shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.sizes import _UNITS, parse_size, show_size


@pytest.mark.parametrize(
    ("text", "size", "shown"),
    [
        ("4 GB", 4_000_000_000, "4 GB"),
        ("4GiB", 4 << 30, "4 GiB"),
        (" 1.5 gb ", 1_500_000_000, "1.5 GB"),
        ("0.25 TB", 250_000_000_000, "250 GB"),
        ("512 MiB", 512 << 20, "512 MiB"),
        ("2000 kB", 2_000_000, "2 MB"),
        ("1536 MiB", 1536 << 20, "1.5 GiB"),
        ("2048 KiB", 2 << 20, "2 MiB"),
        (1_234_567_890, 1_234_567_890, "1.23 GB"),
        (999_499_999, 999_499_999, "999 MB"),
        (999_999_999, 999_999_999, "1 GB"),
        (999_999_999_999, 999_999_999_999, "1 TB"),
        ("10000 TB", 10**16, "10 PB"),
        ("2 PiB", 2 << 50, "2 PiB"),
        ("1000 PB", 10**18, "1000 PB"),
    ],
)
def test_a_size_and_how_it_is_shown(text: object, size: int, shown: str) -> None:
    assert (parse_size(text), show_size(size)) == (size, shown)


@given(st.integers(1, 10**18))
def test_a_size_is_shown_in_few_digits_and_nearly_itself(size: int) -> None:
    figures, unit = show_size(size).split()
    assert "e" not in figures and len(figures) <= 8
    assert abs(float(figures) * _UNITS[unit] / size - 1) <= 0.005


@pytest.mark.parametrize(
    "value",
    [
        "",
        "4",
        "4 G",
        "4 Gi",
        "4 GB 1 MB",
        "-4 GB",
        "GB",
        "1e3 MB",
        "999 kB",
        4,
        0,
        True,
        None,
        4e9,
        "9999999 TB",
    ],
)
def test_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="a size such as"):
        parse_size(value)
