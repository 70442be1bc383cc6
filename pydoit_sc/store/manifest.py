"""The files that `run.json` lists, and whether they are there as it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import md5

from pydoit_sc.store.base import Contents
from pydoit_sc.store.digests import digest
from pydoit_sc.store.documents import FileEntry, Manifest
from pydoit_sc.store.layout import RUN_JSON, STATUS_CODE, STDOUT, parse_status_code
from pydoit_sc.store.stamps import read


def with_files(run_json: bytes, files: Mapping[str, FileEntry], lease: str = "") -> bytes:
    """Return a `run.json` that lists these files, and the lease where that is not the first of the attempt's worker."""
    data = json.loads(run_json)
    data["files"] = {name: entry.model_dump() for name, entry in files.items()}
    if lease and lease != str(data["attempt"]).partition("-")[0]:
        data["lease"] = lease
    return json.dumps(data).encode()


def describe(path: str) -> FileEntry:
    """Return what a manifest says of a local file; raises OSError."""
    with open(path, "rb") as file:
        size, md5_ = digest(file)
    return FileEntry(size=size, md5=md5_)


def fault(found: Contents, content_md5: Callable[[str], str | None] | None = None) -> str | None:
    """Return what is wrong with a finished run, "" if nothing is, or None where its `run.json` lists no files.

    `content_md5` returns the MD5 of a file's content, or nothing; it is called where the listing does not tell the MD5. Outputs of
    `sc` have no `run.json`, and those of our first version do not list their files.
    """
    code = parse_status_code(found.status_code)
    if code is None:
        return f"{STATUS_CODE}: expected 0 … 255, found {found.status_code[:20]!r}"
    if found.run_json is None:
        # `sc` writes stdout always: without it, this is what an outcome that was removed has left.
        return None if STDOUT in found.files else f"{RUN_JSON} and {STDOUT}: missing"
    manifest = read(Manifest, found.run_json)
    if manifest is None or manifest.status_code is None:
        return f"{RUN_JSON}: torn, or not one of ours"
    if manifest.status_code != code:
        return f"{STATUS_CODE}: expected {manifest.status_code}, as {RUN_JSON} says, found {code}"
    if manifest.files is None:
        return None
    return "; ".join(_differences(manifest.files, _told(found), content_md5))


def _told(found: Contents) -> Mapping[str, tuple[int, str]]:
    """Return the size of each file, and its MD5 if the ETags of the store are MD5s: that of `run.json` is."""
    own = md5(found.run_json or b"", usedforsecurity=False).hexdigest()
    if found.files.get(RUN_JSON, (0, ""))[1] in ("", own):
        return found.files
    return {name: (size, "") for name, (size, _) in found.files.items()}


def _differences(
    listed: Mapping[str, FileEntry],
    files: Mapping[str, tuple[int, str]],
    content_md5: Callable[[str], str | None] | None,
) -> Iterator[str]:
    for name, entry in listed.items():
        size, md5_ = files.get(name, (-1, ""))
        if content_md5 and not md5_ and entry.md5 and size == entry.size and size:
            md5_ = content_md5(name) or ""
        if size < 0:
            yield f"{name}: missing"
        elif size != entry.size:
            yield f"{name}: expected {entry.size:,} bytes, found {size:,}"
        elif md5_ and entry.md5 and md5_ != entry.md5:
            yield f"{name}: its content is not that of the attempt"
    for name in sorted(files.keys() - listed.keys() - {RUN_JSON, STATUS_CODE}):
        yield f"{name}: not of the attempt"
