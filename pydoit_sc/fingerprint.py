"""What a run's outcome depends on, as one short string: command, environment, file contents, earlier runs.

Part `env` has the shell too, where a batchfile names one. The four parts are digests of 64 bits in hexadecimal, joined by `-`, so that a fingerprint that differs says which
part has changed. An empty part is `0`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from pydoit_sc.errors import UserError
from pydoit_sc.globbing import files_below, find, unescaped
from pydoit_sc.keptdigests import KeptDigests
from pydoit_sc.utf8 import to_bytes

PARTS = ("cmd", "env", "file_dep", "after")
NOTHING = "0"


class MissingFileDepError(UserError):
    """A `file_dep` matches no file; the text names it."""


def digest_text(text: str) -> str:
    """Return the digest of a command."""
    return blake2b(to_bytes(text), digest_size=8).hexdigest()


def digest_env(env: Mapping[str, str], shell: Sequence[str] = ()) -> str:
    """Return the digest of the environment that a batchfile sets, and of the shell where it names one."""
    if not env and not shell:
        return NOTHING
    return digest_text(json.dumps([*sorted(env.items()), *([{"shell": shell}] if shell else ())]))


def digest_attempt(key: str, attempt: str) -> int:
    """Return the digest of a published attempt; those of several runs are added, in any order."""
    return int.from_bytes(blake2b(f"{key}\0{attempt}".encode(), digest_size=8).digest(), "big")


def after_part(total: int) -> str:
    """Return the last part of a fingerprint from the sum of the digests of earlier runs' attempts."""
    return f"{total % (1 << 64):016x}"


class FileDigests:
    """Digests of `file_dep` contents; each file is read once in the life of this object."""

    def __init__(self, folder: Path, outputs: Sequence[str] = ()) -> None:
        self._folder = folder
        self._outputs = outputs  # folders that no pattern looks into
        self._kept = KeptDigests(folder)
        self._files: dict[str, str] = {}
        self._patterns: dict[tuple[str, ...], str | MissingFileDepError] = {}

    def reread(self) -> None:
        """Look at all files again: something may have written them."""
        self._files.clear()
        self._patterns.clear()

    def digest(self, patterns: tuple[str, ...]) -> str:
        """Return the digest of the names and contents of all files that match; raises MissingFileDepError."""
        if not patterns:
            return NOTHING
        found = self._patterns.get(patterns)
        if found is None:
            found = self._patterns[patterns] = self._digest(patterns)
        if isinstance(found, MissingFileDepError):
            raise found
        return found

    def _digest(self, patterns: tuple[str, ...]) -> str | MissingFileDepError:
        try:
            paths = sorted({path for pattern in patterns for path in self._expand(pattern)})
            return digest_text("\n".join(f"{path}\0{self._file(path)}" for path in paths))
        except MissingFileDepError as error:
            return error

    def forget(self, patterns: tuple[str, ...]) -> None:
        """Read these files again when they are asked for."""
        self._patterns.pop(patterns, None)
        self._files.clear()

    def _expand(self, pattern: str) -> list[str]:
        folder, name = str(self._folder), unescaped(pattern)
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            return [name]
        files = files_below(name, folder, self._outputs) if os.path.isdir(path) else []
        files = files or find(pattern, folder, self._outputs)
        if not files:
            raise MissingFileDepError(f"file_dep `{name}` matches no file in {folder}")
        return files

    def _file(self, path: str) -> str:
        if path not in self._files:
            try:
                self._files[path] = self._kept.of(path)
            except OSError as error:
                raise MissingFileDepError(f"file_dep `{path}`: {error.strerror}") from error
        return self._files[path]


def changed_parts(old: str, new: str) -> list[str]:
    """Name the parts in which two fingerprints differ; all of them if one has another shape."""
    a, b = old.split("-"), new.split("-")
    if len(a) != len(b):
        return list(PARTS)
    return [name for name, x, y in zip(PARTS, a, b, strict=True) if x != y]
