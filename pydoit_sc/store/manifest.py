"""What `run.json` says of the files beside it, and whether they are as it says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import md5
from typing import Any

from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, parse_status_code

_PIECE = 1 << 20

#: What is known of a file: its size in bytes and, "" if nobody has looked, the MD5 of its content.
Known = tuple[int, str]


def describe(path: str) -> dict[str, Any]:
    """Return what `run.json` says of a file: its size, and the MD5 of its content; raises OSError."""
    digest, size = md5(usedforsecurity=False), 0
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return {"size": size, "md5": digest.hexdigest()}


def with_files(run_json: bytes, files: Mapping[str, str]) -> bytes:
    """Return a `run.json` that describes these files, given by their names and where they lie; raises OSError."""
    data = json.loads(run_json)
    data["files"] = {name: describe(path) for name, path in sorted(files.items())}
    return json.dumps(data).encode()


def fault(files: Mapping[str, Known], status_code: bytes, run_json: bytes | None) -> str | None:
    """Return what is wrong with a finished run, "" if nothing is; None where nothing says how it should be.

    `files` are those of the run, by path below its output. Outputs of `sc` have no `run.json`, and those of our first
    version say nothing of their files.
    """
    code = parse_status_code(status_code)
    if code is None:
        return f"{STATUS_CODE}: expected 0 … 255, found {status_code[:20]!r}"
    if run_json is None:
        return None
    try:
        said = json.loads(run_json)
        expected = said.get("files")
        if said["status_code"] != code:
            return f"{STATUS_CODE}: expected {said['status_code']}, as {RUN_JSON} says, found {code}"
        if expected is None:
            return None
        wanted = {
            str(name): (int(entry["size"]), str(entry.get("md5", ""))) for name, entry in expected.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"{RUN_JSON}: torn, or not one of ours"
    return "; ".join(_differences(wanted, files))


def _differences(wanted: Mapping[str, Known], files: Mapping[str, Known]) -> Iterable[str]:
    for name, (size, digest) in wanted.items():
        if name not in files:
            yield f"{name}: missing"
            continue
        found, found_digest = files[name]
        if found != size:
            yield f"{name}: expected {size:,} bytes, found {found:,}"
        elif digest and found_digest and digest != found_digest:
            yield f"{name}: its content is not that of the attempt"
    for name in sorted(files.keys() - wanted.keys() - {RUN_JSON, STATUS_CODE}):
        yield f"{name}: not of the attempt"
