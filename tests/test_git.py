"""The commit of a folder, as git says it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.git import _ANOTHER, commit_of, has_commit, write_commit
from pydoit_sc.programs import call

SETTINGS = (
    "-c",
    "user.name=a",
    "-c",
    "user.email=a@b",
    "-c",
    "init.defaultBranch=main",
    "-c",
    "commit.gpgsign=false",
)


def do(folder: Path, *words: str) -> str:
    """Let git do something in a folder."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(
        ["git", *SETTINGS, *words], cwd=folder, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, of `work.py` and `below/more.py`."""
    do(tmp_path, "init", "-q")
    (tmp_path / "below").mkdir()
    for name in ("work.py", "below/more.py"):
        (tmp_path / name).write_text(name)
    do(tmp_path, "add", ".")
    do(tmp_path, "commit", "-qm", "one")
    commit_of.cache_clear()
    return tmp_path


def test_the_commit_and_whether_files_differ_from_it(repository: Path) -> None:
    head = do(repository, "rev-parse", "HEAD")
    assert commit_of(str(repository / "below")) == (head, False)
    (repository / "new.py").write_text("of which git does not know")
    assert commit_of(str(repository)) == (head, False)
    commit_of.cache_clear()
    (repository / "work.py").write_text("edited")
    assert commit_of(str(repository)) == (head, True)
    assert has_commit(str(repository), head)
    assert not has_commit(str(repository), "0" * 40)


def test_where_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit_of.cache_clear()
    called: list[str] = []

    def counted(*words: str, **how: Any) -> str:
        called.append(words[0])
        return call(*words, **how)

    monkeypatch.setattr("pydoit_sc.git.call", counted)
    assert commit_of(str(tmp_path)) is None
    assert called == []
    do(tmp_path, "init", "-q")
    commit_of.cache_clear()
    assert commit_of(str(tmp_path)) is None
    assert commit_of(str(tmp_path)) is None
    assert called == ["git"]  # once
    commit_of.cache_clear()
    monkeypatch.setenv("PATH", "/nowhere")
    assert commit_of(str(tmp_path)) is None


def test_where_nobody_can_look(tmp_path: Path) -> None:
    """Not even root: a name is too long. A folder above may be closed as well."""
    commit_of.cache_clear()
    assert commit_of(str(tmp_path / ("a" * 300))) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a second user")
def test_where_a_folder_above_is_closed(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "open"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    (tmp_path / "closed").chmod(0o700)
    pid = os.fork()
    if not pid:
        try:
            os.setuid(65534)
            commit_of.cache_clear()
            os._exit(0 if commit_of(str(inner)) is None else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_another_repository_in_the_environment_is_not_asked(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, other = do(repository, "rev-parse", "HEAD"), tmp_path_factory.mktemp("other")
    do(other, "init", "-q")
    do(other, "commit", "-qm", "two", "--allow-empty")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "no-index"))
    assert commit_of(str(repository)) == (head, False)
    assert has_commit(str(repository), head)
    assert write_commit(str(repository), head, str(repository / "new")) == ""
    assert (repository / "new/work.py").read_text() == "work.py"


def test_what_means_another_repository_is_what_git_says_of_itself() -> None:
    """But for settings, which may hold a user's `safe.directory`."""
    local = call("git", "rev-parse", "--local-env-vars").split()
    assert {name for name in local if not name.startswith("GIT_CONFIG")} <= _ANOTHER


def test_the_files_of_a_commit(repository: Path) -> None:
    (repository / ".gitattributes").write_text("work.py export-ignore\nbelow/* export-subst\n")
    (repository / "below/more.py").write_text("$Format:%H$")
    (repository / "below/link").symlink_to("/etc/passwd")
    (repository / "below/tool").write_text("tool")
    (repository / "below/tool").chmod(0o755)
    do(repository, "add", ".")
    do(repository, "commit", "-qm", "two")
    head = do(repository, "rev-parse", "HEAD")
    (repository / "work.py").write_text("edited")
    (repository / ".gitattributes").write_text("* eol=crlf\n")
    before, state = do(repository, "status", "--porcelain"), sorted((repository / ".git").rglob("*"))
    code = repository / ".git/code"  # where no `status` sees it
    assert write_commit(str(repository / "below"), head, str(code)) == "below/"
    found = {str(path.relative_to(code)) for path in code.rglob("*")}
    assert found == {".gitattributes", "work.py", "below", "below/more.py", "below/link", "below/tool"}
    assert (code / "work.py").read_bytes() == b"work.py"
    assert (code / "below/more.py").read_text() == "$Format:%H$"
    assert os.readlink(code / "below/link") == "/etc/passwd"
    assert (code / "below/tool").stat().st_mode & 0o100
    assert do(repository, "status", "--porcelain") == before
    assert {path for path in (repository / ".git").rglob("*") if code not in (path, *path.parents)} == set(
        state
    )


def test_no_hook_of_a_repository_is_executed(repository: Path) -> None:
    hook = repository / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {repository}/hooked\n")
    hook.chmod(0o755)
    write_commit(str(repository), do(repository, "rev-parse", "HEAD"), str(repository / "new"))
    assert not (repository / "hooked").exists()
    do(repository, "add", "new")
    assert (repository / "hooked").exists()


def test_a_folder_whose_name_is_not_utf_8(repository: Path) -> None:
    folder = repository / os.fsdecode(b"caf\xe9\n")
    folder.mkdir()
    (folder / "work.py").write_text("here")
    do(repository, "add", ".")
    do(repository, "commit", "-qm", "two")
    head = do(repository, "rev-parse", "HEAD")
    assert write_commit(str(folder), head, str(folder / "new")) == os.fsdecode(b"caf\xe9\n/")
    assert (folder / "new" / folder.name / "work.py").read_text() == "here"
