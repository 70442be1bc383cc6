"""Which commit of git the files of a folder are, and a commit's files."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from pydoit_sc.programs import ProgramError, call

_ANSWER = 10.0  # seconds; on a slow file system git may look at each of many files
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
#: Variables that mean another repository than the folder's, or parts of one, such as a hook of git has them. Those for
#: settings are not among them: a user's `safe.directory` may be there.
_ANOTHER = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE", "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
}  # fmt: skip


class Commit(NamedTuple):
    """The commit of a work tree."""

    id: str  # in hexadecimal
    dirty: bool  # files that git tracks differ from it


@cache
def commit_of(folder: str) -> Commit | None:
    """Return the commit of the work tree that a folder is in; None where there is none, or git does not tell.

    Git is started once for a folder, and never where no folder above has a `.git`.
    """
    # A `Path` would raise where one of them may not be entered.
    if not any(os.path.exists(path / ".git") for path in (Path(folder), *Path(folder).parents)):
        return None
    try:
        said = _git(folder, "status", "--porcelain=v2", "--branch", "--untracked-files=no").splitlines()
    except ProgramError:
        return None
    commit = next((line.rpartition(" ")[2] for line in said if line.startswith("# branch.oid ")), "(initial)")
    return None if commit == "(initial)" else Commit(commit, any(not line.startswith("# ") for line in said))


def has_commit(folder: str, commit: str) -> bool:
    """Return whether the repository of a folder has a commit."""
    try:
        _git(folder, "cat-file", "-e", f"{commit}^{{commit}}")
    except ProgramError:
        return False
    return True


def write_commit(folder: str, commit: str, into: str) -> str:
    """Write all files of a commit into a new folder, and return where `folder` is in it; raises ProgramError, OSError.

    They are as git checks them out: `git archive` would leave files out, or fill them in, as `.gitattributes` says.
    """
    start = _git(folder, "rev-parse", "--show-prefix").removesuffix("\n")
    repository = _git(folder, "rev-parse", "--absolute-git-dir").removesuffix("\n")
    index = f"{into}.index"
    # The new folder is the work tree, so no `.gitattributes` but the commit's count.
    git = partial(call, *_GIT, "-C", into, f"--git-dir={repository}", f"--work-tree={into}")
    os.mkdir(into)
    try:
        git("read-tree", commit, env=_environment(GIT_INDEX_FILE=index))
        git("checkout-index", "--all", env=_environment(GIT_INDEX_FILE=index))
    finally:
        with suppress(FileNotFoundError):
            os.unlink(index)
    return start


def _git(folder: str, *words: str) -> str:
    return call(*_GIT, "-C", folder, *words, timeout=_ANSWER, env=_environment())


def _environment(**more: str) -> dict[str, str]:
    """Return the environment for a repository that is found by its folder."""
    return {**{name: value for name, value in os.environ.items() if name not in _ANOTHER}, **more}
