"""The program that fetches files on machines: `python3 -m pydoit_sc.sync download …` or `… fetch …`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.fetch import fetch_all
from pydoit_sc.sync.remote import fetch
from pydoit_sc.utf8 import insist

_USAGE = """\
usage: python3 -m pydoit_sc.sync download URL FILE
       python3 -m pydoit_sc.sync fetch FOLDER OPTIONS [URL DEST]..."""


def main(arguments: Sequence[str]) -> int:
    """Execute the command that the arguments name, and return its exit code."""
    try:
        match arguments:
            case ["download", url, path]:
                fetch(url, path, {})
            case ["fetch", folder, options, *pairs] if len(pairs) % 2 == 0:
                fetch_all(folder, zip(pairs[::2], pairs[1::2], strict=True), json.loads(options))
            case _:
                print(_USAGE, file=sys.stderr)
                return 3
    except SyncError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    insist()
    sys.exit(main(sys.argv[1:]))
