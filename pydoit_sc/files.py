"""Write a file whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress


def write_whole(path: str, data: bytes) -> None:
    """Put a file in place with all its data, or leave what was there; raises OSError."""
    aside = f"{path}.{secrets.token_hex(4)}.part"
    try:
        with open(aside, "xb") as file:
            file.write(data)
        os.replace(aside, path)
    finally:
        with suppress(OSError):
            os.unlink(aside)
