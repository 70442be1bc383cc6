"""Fetch one file from any fsspec URL: `python3 -m pydoit_sc.sync.download URL FILE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.remote import fetch


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        print("usage: python3 -m pydoit_sc.sync.download URL FILE", file=sys.stderr)
        return 3
    try:
        url, path = arguments
        fetch(url, path, {})
    except SyncError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
