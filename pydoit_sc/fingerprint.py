"""What a run's outcome depends on, as one short string: command, environment, file contents, earlier runs.

The four parts are digests of 64 bits in hexadecimal, joined by `-`, so that a fingerprint that differs says which part
has changed. An empty part is `0`. The part of the environment has the shell, too, where a batchfile names one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from glob import has_magic
from hashlib import blake2b
from pathlib import Path
from shlex import quote

from pydoit_sc.batch import Batch
from pydoit_sc.errors import UserError, reason
from pydoit_sc.files import is_file, is_folder
from pydoit_sc.globbing import files_below, find, means_outputs, outputs_of, unescaped
from pydoit_sc.keptdigests import KeptDigests
from pydoit_sc.utf8 import to_bytes

PARTS = ("cmd", "env", "file_dep", "after")
NOTHING = "0"

_ROOM = 4096  # characters of paths and digests that a `run.json` keeps
_OF_DIGEST = 24  # of them, for a digest and what stands around it
_REMEMBERED = 64  # lists of patterns whose parts are in memory


class MissingFileDepError(UserError):
    """A `file_dep` matches no file, or cannot be read; the text names it."""


def digest_text(text: str) -> str:
    """Return the digest of a command."""
    return blake2b(to_bytes(text), digest_size=8).hexdigest()


class Placeless:
    """Commands without the place of the outputs that they name, which is the same however it is reached.

    A value is quoted as a whole, so a place that has a blank has put quotes around the name behind it, too. Those that the
    name needs by itself stay: without them it is another command.

    >>> one, other = Placeless("/data/out"), Placeless("/my data/out")
    >>> one("cat /data/out/a/1/stdout") == other("cat '/my data/out/a/1'/stdout")
    True
    >>> one("cat '/data/out/a b'") == one("cat /data/out/a b"), other("cat '/my data/out/a'") == other("cat /my data/out/a")
    (False, False)
    """

    def __init__(self, outputs: str) -> None:
        quoted = outputs.replace("'", "'\"'\"'")
        self._places = re.compile(f"'{re.escape(quoted)}/([^']*)'|{re.escape(outputs)}/")
        self._bare = "\0" if quote(outputs) == outputs else "\0\0"  # no command has a NUL

    def __call__(self, cmd: str) -> str:
        return self._places.sub(lambda found: self._bare if found[1] is None else f"\0{quote(found[1])}", cmd)


def digest_env(env: Mapping[str, str], shell: Sequence[str] = ()) -> str:
    """Return the digest of the environment that a batchfile sets, and of the shell where it names one."""
    if not env and not shell:
        return NOTHING
    return digest_text(json.dumps([*sorted(env.items()), *([{"shell": shell}] if shell else ())]))


@lru_cache(4096)
def _digest_variable(name: str, value: str) -> str:
    return digest_text(f"{name}={value}")


def digest_variables(env: Mapping[str, str]) -> dict[str, str]:
    """Return a digest of each variable: what `run.json` keeps, since a value may be a secret."""
    return {name: _digest_variable(name, value) for name, value in env.items()}


def condensed(files: Mapping[str, str]) -> Mapping[str, str]:
    """Return the digests of files, or of folders, with a slash at their ends, where that would be too much text.

    >>> list(condensed({f"data/{n}.csv": "0" for n in range(1000)}))
    ['data/']
    """
    for name in (str, _folder_of, _tree_of):
        groups: dict[str, list[str]] = {}
        for path, digest in files.items():
            groups.setdefault(name(path), []).append(f"{path}\0{digest}")
        if sum(len(path) + _OF_DIGEST for path in groups) <= _ROOM:
            break
    else:
        groups = {"./": [f"{path}\0{digest}" for path, digest in files.items()]}
    return {path: digest_text("\n".join(lines)) for path, lines in groups.items()}


def _folder_of(path: str) -> str:
    return f"{os.path.dirname(path) or '.'}/"


def _tree_of(path: str) -> str:
    return f"{path.partition('/')[0]}/" if "/" in path else "./"


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
        self._parts: dict[tuple[str, ...], Mapping[str, str]] = {}  # of some

    @classmethod
    def of(cls, batch: Batch) -> FileDigests:
        """Return the digests of a batch's files, none of which are its own outputs."""
        folders = (name for stage in batch.stages for name in stage.folders)
        return cls(batch.folder, outputs_of(batch.remote_output_path, str(batch.folder), folders))

    def reread(self) -> None:
        """Look at all files again: something may have written them."""
        self._files.clear()
        self._patterns.clear()
        self._parts.clear()

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

    def forget(self, patterns: tuple[str, ...]) -> None:
        """Look at these files again when they are asked for."""
        self._patterns.pop(patterns, None)
        self._parts.pop(patterns, None)
        self._files.clear()

    def _digest(self, patterns: tuple[str, ...]) -> str | MissingFileDepError:
        try:
            return digest_text("\n".join(f"{path}\0{digest}" for path, digest in self._all(patterns).items()))
        except MissingFileDepError as error:
            return error

    def _all(self, patterns: tuple[str, ...]) -> dict[str, str]:
        paths = sorted({path for pattern in patterns for path in self.expand(pattern)})
        return {path: self._file(path) for path in paths}

    def parts(self, patterns: tuple[str, ...]) -> Mapping[str, str]:
        """Return a digest of each file that matches, or of each folder where they are many; raises MissingFileDepError."""
        if not patterns:
            return {}
        if patterns not in self._parts:
            if len(self._parts) >= _REMEMBERED:
                self._parts.clear()
            self._parts[patterns] = condensed(self._all(patterns))
        return self._parts[patterns]

    def expand(self, pattern: str) -> list[str]:
        """Return the files that a `file_dep` means, as paths from the batchfile's folder; raises MissingFileDepError."""
        folder, name = str(self._folder), unescaped(pattern)
        path = os.path.join(folder, name)
        try:
            if is_file(path):
                return [name]
            files = files_below(name, folder, self._outputs) if is_folder(path) else []
            files = files or find(pattern, folder, self._outputs)
        except OSError as error:
            raise MissingFileDepError(f"file_dep `{name}`: {reason(error)}") from error
        if not files:
            raise MissingFileDepError(f"file_dep `{name}` {self._why_none(pattern, path)}")
        return files

    def _why_none(self, pattern: str, path: str) -> str:
        """Return why a pattern, or the path that it may be, means no file."""
        folder = str(self._folder)
        if (has_magic(pattern) or is_folder(path)) and means_outputs(pattern, folder, self._outputs):
            return "means outputs of this batch: these are named as files, without a pattern; or use `after`"
        try:
            os.stat(path)
        except PermissionError as error:
            return f"cannot be read: {error.strerror}"
        except (OSError, ValueError):
            pass
        return f"matches no file in {folder}"

    def _file(self, path: str) -> str:
        if path not in self._files:
            try:
                self._files[path] = self._kept.of(path)
            except OSError as error:
                raise MissingFileDepError(f"file_dep `{path}`: {error.strerror}") from error
        return self._files[path]


def split_parts(fingerprint: str) -> dict[str, str]:
    """Return the parts of a fingerprint by name; none of one that has another shape."""
    parts = fingerprint.split("-")
    return dict(zip(PARTS, parts, strict=True)) if len(parts) == len(PARTS) else {}


def changed_parts(old: str, new: str) -> list[str]:
    """Name the parts in which two fingerprints differ; all of them if one has another shape."""
    a, b = split_parts(old), split_parts(new)
    return [name for name in PARTS if not a or not b or a[name] != b[name]]
