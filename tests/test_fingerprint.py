"""What a run's outcome depends on, as a string."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.fingerprint import (
    NOTHING,
    PARTS,
    FileDigests,
    MissingFileDepError,
    after_part,
    changed_parts,
    digest_attempt,
    digest_env,
    digest_text,
)

Pairs = list[tuple[str, str]]
pairs = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=6)
text = st.text(st.characters(codec="utf-8"), max_size=20)


def test_fingerprints_last() -> None:
    """They are in the stores of users: another value would execute everything again."""
    assert digest_text("echo 1") == "8d88df4f9ead9703"
    assert digest_env({"B": "2", "A": "1"}) == "39cdf03af12847ae"
    assert digest_env({}) == NOTHING
    assert digest_env({"B": "2", "A": "1"}, ("bash", "-c")) == "eef6b8bbc67187c2"
    assert digest_env({}, ("bash", "-c")) == "5a6ffd1722c0dc1d"
    assert after_part(sum(map(digest_attempt, ("a/1", "a/2"), ("x-1", "x-2")))) == "95f45e5d7a7b02ad"


@given(text, text)
def test_texts_differ(one: str, other: str) -> None:
    assert (digest_text(one) == digest_text(other)) == (one == other)


@given(st.dictionaries(text, text), st.dictionaries(text, text))
def test_environments_differ(one: dict[str, str], other: dict[str, str]) -> None:
    assert (digest_env(one) == digest_env(other)) == (one == other)
    assert digest_env(one) == digest_env(dict(reversed(one.items())))


def _sum(items: Pairs) -> str:
    return after_part(sum(digest_attempt(key, attempt) for key, attempt in items))


@given(pairs.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_of_attempts_does_not_matter(both: tuple[Pairs, Pairs]) -> None:
    assert _sum(both[0]) == _sum(both[1])


@given(pairs, st.tuples(st.text(max_size=5), st.text(max_size=5)))
def test_one_attempt_more_does(items: Pairs, more: tuple[str, str]) -> None:
    assert _sum(items) != _sum([*items, more])


fingerprints = st.lists(st.sampled_from(["0", "1", "a"]), min_size=4, max_size=4)


@given(fingerprints, fingerprints)
def test_changed_parts(one: list[str], other: list[str]) -> None:
    changed = changed_parts("-".join(one), "-".join(other))
    assert changed == [name for name, x, y in zip(PARTS, one, other, strict=True) if x != y]


def test_a_fingerprint_of_another_shape_has_changed_in_all() -> None:
    assert changed_parts("what", "1-2-3-4") == list(PARTS)


def digest(folder: Path, *patterns: str) -> str:
    return FileDigests(folder).digest(patterns)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one.csv", "two.csv", "sub/three.csv", "[x].csv"):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "project"


def test_contents_and_names_count_and_times_do_not(folder: Path) -> None:
    before = digest(folder, "*.csv")
    os.utime(folder / "one.csv", (1, 1))
    (folder / "one.txt").write_text("another")
    assert digest(folder, "*.csv") == before
    (folder / "one.csv").write_text("other")
    edited = digest(folder, "*.csv")
    (folder / "one.csv").rename(folder / "ten.csv")
    renamed = digest(folder, "*.csv")
    (folder / "new.csv").write_text("")
    assert len({before, edited, renamed, digest(folder, "*.csv")}) == 4


def test_patterns(folder: Path) -> None:
    assert digest(folder) == NOTHING
    assert digest(folder, "one.csv", "two.csv") == digest(folder, "t*.csv", "one.csv", "two.csv")
    assert digest(folder, "**/*.csv") != digest(folder, "*.csv")
    assert digest(folder, "[x].csv") != digest(folder, "one.csv")  # the name of a file, first of all
    assert digest(folder / "sub", "../one.csv") != digest(folder / "sub", "three.csv")
    assert digest(folder / "sub", str(folder / "one.csv")) == digest(folder, str(folder / "one.csv"))


def test_a_folder_means_all_files_in_it(folder: Path) -> None:
    before = digest(folder, "sub")
    assert before == digest(folder, "sub/three.csv") == digest(folder, "sub/")
    (folder / "sub/__pycache__").mkdir()
    (folder / "sub/__pycache__/x.pyc").touch()
    assert digest(folder, "sub") == before
    (folder / "sub/deep").mkdir()
    (folder / "sub/deep/.hidden").touch()
    assert digest(folder, "sub") == digest(folder, "sub/three.csv", "sub/deep/.hidden")


@pytest.mark.parametrize("pattern", ["none.csv", "none*", "empty", "sub/*/", "su*"])
def test_what_matches_no_file(folder: Path, pattern: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(MissingFileDepError, match=r"file_dep `.*` matches no file in /.*project"):
        digest(folder, "one.csv", pattern)


@pytest.mark.parametrize("pattern", ["out/*/*/stdout", "out/a", "out/a/", "out", "link/*"])
def test_outputs_are_not_told_as_absent(folder: Path, pattern: str) -> None:
    (folder / "out/a/1").mkdir(parents=True)
    (folder / "out/a/1/stdout").touch()
    (folder / "link").symlink_to("out")
    digests = FileDigests(folder, [str(folder / "out")])
    assert digests.digest(("out/a/1/stdout",)) != NOTHING
    with pytest.raises(MissingFileDepError, match="means outputs of this batch: these are named as files, "):
        digests.digest((pattern,))
    for none in ("out/a/2/stdout", "o*t/*"):
        with pytest.raises(MissingFileDepError, match="matches no file"):
            digests.digest((none,))


@pytest.mark.usefixtures("ordinary")
def test_what_is_closed_in_a_folder_is_not_missing(folder: Path) -> None:
    (folder / "sub/deep").mkdir()
    (folder / "sub/deep/x.csv").touch()
    (folder / "sub/deep").chmod(0)
    with pytest.raises(MissingFileDepError, match=r"file_dep `sub`: .*sub/deep/: Permission denied"):
        digest(folder, "sub")
    with pytest.raises(
        MissingFileDepError, match=r"file_dep `sub/deep/x\.csv` cannot be read: Permission denied"
    ):
        digest(folder, "sub/deep/x.csv")
    assert digest(folder, "sub/**") == digest(folder, "sub/three.csv")  # as a shell does it
    (folder / "sub/deep").chmod(0o755)


def test_a_file_is_read_once(folder: Path) -> None:
    digests = FileDigests(folder)
    before = digests.digest(("one.csv",))
    (folder / "one.csv").write_text("other")
    assert digests.digest(("one.csv",)) == before
    assert digests.digest(("one.csv", "one.csv")) == before
    assert digest(folder, "one.csv") != before


def test_large_files_are_read_in_parts(folder: Path) -> None:
    size = (1 << 20) + 1
    (folder / "one.csv").write_bytes(b"x" * size)
    before = digest(folder, "one.csv")
    (folder / "one.csv").write_bytes(b"x" * (size - 1) + b"y")
    assert digest(folder, "one.csv") != before


def test_what_cannot_be_read_just_now_is_not_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a completed run would be executed again for files that are there."""
    scandir = os.scandir

    def broken(path: str) -> object:
        if str(path).rstrip("/").endswith("sub"):
            raise OSError(errno.ESTALE, "stale", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", broken)
    for pattern in ("sub", "sub/*", "**/three.csv"):
        with pytest.raises(MissingFileDepError, match=f"^file_dep `{re.escape(pattern)}`: .*sub/?: stale$"):
            digest(folder, pattern)
