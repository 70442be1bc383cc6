"""What `run.json` says of the files beside it, and whether they are as it says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from hashlib import md5
from typing import BinaryIO

from pydoit_sc.store.base import Contents
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, parse_status_code

_PIECE = 1 << 20


def sizes(folder: str) -> dict[str, int]:
    """Return the sizes in bytes of all files below a folder by their paths; a pipe or a socket is none."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below = sizes(entry.path)
                found.update({f"{entry.name}/{name}": size for name, size in below.items()})
            elif entry.is_symlink() or entry.is_file():
                found[entry.name] = entry.stat(follow_symlinks=False).st_size
    return found


def digest(file: BinaryIO) -> tuple[int, str]:
    """Return the size and the MD5 of what a stream still holds."""
    md5_, size = md5(usedforsecurity=False), 0
    while piece := file.read(_PIECE):
        md5_.update(piece)
        size += len(piece)
    return size, md5_.hexdigest()


def with_files(run_json: bytes, files: Mapping[str, str]) -> bytes:
    """Return a `run.json` that describes these files, given by their names and where they lie; raises OSError."""
    data = json.loads(run_json)
    data["files"] = {name: _describe(path) for name, path in sorted(files.items())}
    return json.dumps(data).encode()


def _describe(path: str) -> dict[str, int | str]:
    with open(path, "rb") as file:
        size, md5_ = digest(file)
    return {"size": size, "md5": md5_}


def fault(found: Contents, read: Callable[[str], str] | None = None) -> str | None:
    """Return what is wrong with a finished run, "" if nothing is; None where nothing says how it should be.

    `read` returns the MD5 of a file's content, for those whose listing does not tell it. Outputs of `sc` have no
    `run.json`, and those of our first version do not list their files.
    """
    code = parse_status_code(found.status_code)
    if code is None:
        return f"{STATUS_CODE}: expected 0 … 255, found {found.status_code[:20]!r}"
    if found.run_json is None:
        return None
    try:
        said = json.loads(found.run_json)
        if said["status_code"] != code:
            return f"{STATUS_CODE}: expected {said['status_code']}, as {RUN_JSON} says, found {code}"
        if "files" not in said:
            return None
        wanted = {
            str(name): (int(entry["size"]), str(entry.get("md5", "")))
            for name, entry in said["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"{RUN_JSON}: torn, or not one of ours"
    return "; ".join(_differences(wanted, found.files, read))


def _differences(
    wanted: Mapping[str, tuple[int, str]],
    files: Mapping[str, tuple[int, str]],
    read: Callable[[str], str] | None,
) -> Iterator[str]:
    for name, (size, md5_) in wanted.items():
        there, there_md5 = files.get(name, (-1, ""))
        if there < 0:
            yield f"{name}: missing"
        elif there != size:
            yield f"{name}: expected {size:,} bytes, found {there:,}"
        elif md5_ and md5_ != (there_md5 or (read(name) if read else md5_)):
            yield f"{name}: its content is not that of the attempt"
    for name in sorted(files.keys() - wanted.keys() - {RUN_JSON, STATUS_CODE}):
        yield f"{name}: not of the attempt"
