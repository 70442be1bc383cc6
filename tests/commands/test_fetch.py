"""`fetch`: outputs come whole, of one attempt, and nowhere else than they should."""

from __future__ import annotations

import errno
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from doit.exceptions import InvalidCommand, InvalidDodoFile

from pydoit_sc.commands.fetch import FetchCommand
from pydoit_sc.files import replacing
from pydoit_sc.outcomes import fetching, files
from pydoit_sc.outcomes.fetching import Fetcher
from pydoit_sc.store import StoreError
from pydoit_sc.store.objects import ObjectStore
from pydoit_sc.store.posix import PosixStore
from tests.commands.test_results import RUNS, output, put
from tests.conftest import HEAD, Box
from tests.store.memory_blobs import Bucket, MemoryBlobs

RESULTS: dict[str, str | bytes] = {"m.json": "1", "sub/data.bin": bytes(range(256)) * 3000, "[1]*?": ""}


@pytest.fixture
def two(box: Box) -> Box:
    """Two runs, of which one has failed, and one without an outcome."""
    box.batchfile(RUNS)
    put(box, "1", RESULTS)
    put(box, "2", {}, 7)
    return box


@pytest.fixture
def fetch(box: Box, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """Fetch to the folder `got` of the project; return the exit code and the lines, but for times and sizes."""

    def fetch(*words: str) -> tuple[int, list[str]]:
        given = ["-f", str(box.folder / "batchfile.toml"), "--to", str(box.folder / "got"), *words]
        code = FetchCommand(config={}).parse_execute(given)
        out, err = capsys.readouterr()
        assert out == ""
        return code, [line.partition(", in ")[0] for line in err.splitlines()]

    return fetch


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


Fetch = Callable[..., tuple[int, list[str]]]
MISSING = "1 of 3 runs have no outcome"


def test_all_is_there_and_stays(two: Box, fetch: Fetch) -> None:
    got = two.folder / "got"
    assert fetch() == (0, ["2 fetched, 768 kB", MISSING])
    assert tree(got) == tree(two.folder / "out")
    before = {path: path.stat().st_ino for path in got.rglob("*")}
    assert fetch() == (0, ["2 there already", MISSING])
    assert {path: path.stat().st_ino for path in got.rglob("*")} == before
    (got / "a/1/results/m.json").write_text("2")
    (got / "a/2/stderr").unlink()
    assert fetch("a:1", "a:2") == (0, ["2 fetched, 0.001 kB"])
    assert tree(got) == tree(two.folder / "out")


def test_selected_runs(two: Box, fetch: Fetch) -> None:
    assert fetch("--code", "7") == (0, ["1 fetched, 0 kB"])
    assert os.listdir(two.folder / "got/a") == ["2"]
    assert fetch("--code", "9")[1][0].startswith("no run matches --code 9")


def test_what_is_damaged_in_the_store_does_not_come(two: Box, fetch: Fetch) -> None:
    results = two.folder / "out/a/1/results"
    (results / "m.json").write_text("2")
    (results / "[1]*?").unlink()
    (results / "sub/data.bin").write_bytes(b"cut")
    code, lines = fetch("a:1")
    assert (code, sorted(lines[:-1])) == (
        2,
        [
            "a:1: results/[1]*?: missing",
            "a:1: results/m.json: its content is not that of the attempt",
            "a:1: results/sub/data.bin: expected 768,000 bytes, found 3",
        ],
    )
    assert sorted(tree(two.folder / "got")) == ["a/1/run.json", "a/1/stderr", "a/1/stdout"]
    put(two, "1", RESULTS)
    assert fetch("a:1")[0] == 0
    assert tree(two.folder / "got/a/1") == tree(two.folder / "out/a/1")


def test_a_file_that_has_grown_is_not_copied_to_its_end(two: Box, fetch: Fetch) -> None:
    """It may be larger than the disk of who fetches it."""
    with (two.folder / "out/a/1/stdout").open("r+b") as file:
        file.truncate(1 << 40)
    code, lines = fetch("a:1")
    assert code == 2
    assert re.search(r"a:1: stdout: expected \d+ bytes, found [\d,]+ or more", lines[0])
    assert not (two.folder / "got/a/1/status_code").exists()


def test_two_attempts_never_mix(two: Box, fetch: Fetch) -> None:
    fetch()
    (two.folder / "got/a/1/notes").write_text("mine")
    for name in RESULTS:
        (two.folder / "out/a/1/results" / name).unlink()
    for name, data in output({"new": "3"}, attempt="w-2").items():
        two.write(f"out/a/1/{name}", data)
    assert fetch("a:1")[0] == 0
    assert tree(two.folder / "got/a/1").keys() == tree(two.folder / "out/a/1").keys() | {"notes"}


def _attempts(tmp_path: Path) -> Iterator[dict[str, bytes]]:
    yield output({"old": "1", "both": "1"}, attempt="w-1")
    yield output({"both": "2", "new": "2"}, attempt="w-2")
    yield output({"both": "3"}, attempt="w-3")


def _write(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (root / "a/1" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "a/1" / name).write_bytes(data)


def _fetch(store: Any, got: Path) -> list[fetching.Fetched]:
    return list(Fetcher(store, str(got)).fetch(store.documents(["a/1"]), store.stagers, lambda: None))


def test_wherever_it_is_stopped_nothing_is_half_or_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before each change of the folder in turn: what has a `status_code` is whole, and the next one completes it."""
    first, second, third = _attempts(tmp_path)
    stores = []
    for number, attempt in enumerate((first, second, third)):
        _write(tmp_path / str(number), attempt)
        stores.append(PosixStore(str(tmp_path / str(number))))
    changes: Any = {"unlink": os.unlink, "replace": os.replace}
    left = 0

    def change(name: str, *args: Any) -> None:
        nonlocal left
        if not str(args[-1]).endswith(".part"):  # these are removed
            left -= 1
            if left == -1:
                raise KeyboardInterrupt
        changes[name](*args)

    for at in range(30):
        got = tmp_path / f"got {at}"
        _fetch(stores[0], got)
        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            left = at
            for name in changes:
                patched.setattr(os, name, partial(change, name))
            _fetch(stores[1], got)
        found = tree(got / "a/1")
        assert "status_code" not in found or found in (first, second), at
        assert not [name for name in found if name.endswith(".part")]
        _fetch(stores[2], got)
        assert tree(got / "a/1") == third, at
        if left >= 0:
            break
    assert 5 < at < 29


@pytest.mark.parametrize(
    "name",
    [
        "../../up",
        "/abs",
        "results/../../../../up",
        "a//b",
        ".pydoit_sc/x",
        "nul\0",
        "\ud800",
        "",
        "results/" + "x" * 300,
    ],
)
def test_no_name_leads_out(two: Box, fetch: Fetch, name: str) -> None:
    known = json.loads((two.folder / "out/a/1/run.json").read_text())
    known["files"][name] = {"size": 1}
    two.write("out/a/1/run.json", json.dumps(known))
    two.write("out/up", "x")
    two.write("up", "x")
    before = set(tree(two.folder))
    assert fetch("a:1")[0] == 2
    assert all(new.startswith("got/a/1/") for new in set(tree(two.folder)) - before)
    assert not (two.folder / "got/a/1/status_code").exists()


def test_links_lead_nowhere_else(two: Box, fetch: Fetch) -> None:
    results = two.folder / "out/a/1/results"
    two.write("secret", "s")
    known = json.loads((two.folder / "out/a/1/run.json").read_text())
    for link, target in {
        "best": "m.json",
        "deep": "sub",
        "secret": "../../../../secret",
        "none": "x",
    }.items():
        (results / link).symlink_to(target)
        known["files"][f"results/{link}"] = {"size": len(target)}
    two.write("out/a/1/run.json", json.dumps(known))
    code, lines = fetch("a:1")
    assert (code, sorted(lines[:3])) == (
        0,
        [
            "a:1: results/deep: a link, left out: not a regular file",
            "a:1: results/none: a link, left out: missing",
            "a:1: results/secret: a link, left out: it leads out of its run's output",
        ],
    )
    assert (two.folder / "got/a/1/status_code").exists()
    assert (two.folder / "got/a/1/results/best").read_text() == "1"
    assert not [path for path in (two.folder / "got").rglob("*") if path.is_symlink()]


def test_a_link_that_is_there_is_replaced_not_followed(two: Box, fetch: Fetch) -> None:
    fetch()
    mine = two.write("mine", "1")
    there = two.folder / "got/a/1/results/m.json"
    there.unlink()
    there.symlink_to(mine)
    assert fetch()[0] == 0
    assert not there.is_symlink()


def test_outputs_of_sc_are_compared_by_size(box: Box, fetch: Fetch) -> None:
    box.batchfile(RUNS)
    box.write("out/a/1/status_code", "0\n")
    box.write("out/a/1/results/x", "123")
    said = [MISSING.replace("1", "2"), "1 files have no digest, and were compared by size alone"]
    assert fetch() == (0, ["1 fetched, 0.003 kB", *reversed(said)])
    assert fetch() == (0, ["1 there already", *reversed(said)])
    assert tree(box.folder / "got") == tree(box.folder / "out")


class Flaky(MemoryBlobs):
    """Objects that can be opened; the connection breaks in the middle of some."""

    at_once = 4
    breaks = 0

    def open(self, path: str) -> BinaryIO:
        data = io.BytesIO(self.read(path)[0])
        if self.breaks and path.endswith("m.json"):
            self.breaks -= 1
            data.read = self._break  # type: ignore[method-assign]
        return data

    def _break(self, *_: object) -> bytes:
        raise ConnectionError("reset by peer")


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> tuple[ObjectStore, Flaky]:
    monkeypatch.setattr(files, "_PAUSE", 0.0)
    blobs = Flaky(Bucket())
    for name, data in output({"m.json": "1"}).items():
        blobs.put(f"a/1/{name}", data)
    return ObjectStore("memory://store", blobs), blobs


def test_a_run_that_is_replaced_meanwhile_is_fetched_once_more(
    objects: tuple[ObjectStore, Flaky], tmp_path: Path
) -> None:
    store, blobs = objects
    new = output({"m.json": "2", "n": "2"}, attempt="w-2")

    def replaced(verb: str, path: str) -> None:
        if path == "a/1/results/m.json":
            blobs.before = lambda verb, path: None
            for name, data in new.items():
                blobs.put(f"a/1/{name}", data)

    blobs.before = replaced
    (one,) = _fetch(store, tmp_path)
    assert not one.wrong
    assert tree(tmp_path / "a/1") == new


def test_a_connection_that_breaks_is_made_again(objects: tuple[ObjectStore, Flaky], tmp_path: Path) -> None:
    store, blobs = objects
    blobs.breaks = 2
    (one,) = _fetch(store, tmp_path)
    assert not one.wrong
    assert (tmp_path / "a/1/results/m.json").read_text() == "1"
    blobs.breaks = 3
    with pytest.raises(StoreError, match=r"memory://store/a/1/results/m\.json: reset by peer"):
        _fetch(store, tmp_path / "other")
    assert "status_code" not in tree(tmp_path / "other/a/1")


def test_a_full_disk_ends_it(two: Box, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(fetching, "replacing", full)
    with pytest.raises(InvalidDodoFile, match=r"--to: .*got/a/.*: No space left on device"):
        fetch()


def test_a_disk_that_becomes_full_leaves_some(
    two: Box, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def filling(path: str) -> Any:
        if path.endswith("data.bin"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return replacing(path)

    monkeypatch.setattr(fetching, "replacing", filling)
    code, lines = fetch()
    assert (code, lines[-1]) == (
        2, f"ERROR: --to: {two.folder}/got/a/1/results/sub/data.bin: No space left on device"
    )  # fmt: skip


def test_where_nothing_is_fetched_to(two: Box, fetch: Fetch) -> None:
    batchfile = str(two.folder / "batchfile.toml")
    two.write("out/.pydoit_sc/x", "")
    for words, message in {
        (): "expected --to DIR",
        (
            "--to",
            "s3://bucket/x",
        ): "expected a folder of this machine, found `s3://bucket/x`; .*--remote-output-path",
        ("--to", str(two.folder / "out")): "is where a batch has its own outputs",
    }.items():
        with pytest.raises(InvalidCommand, match=message):
            FetchCommand(config={}).parse_execute(["-f", batchfile, *words])
    with pytest.raises(InvalidCommand, match="out/a` is where the batch has its outputs"):
        FetchCommand(config={}).parse_execute(["-f", batchfile, "--to", str(two.folder / "out/a")])
    (two.folder / "link").symlink_to("out")
    for inside in ("link/a/1/results", "link/copy"):
        with pytest.raises(InvalidCommand, match=rf"{inside}` is where the batch has its outputs"):
            FetchCommand(config={}).parse_execute(["-f", batchfile, "--to", str(two.folder / inside)])
    two.edit("file://out", "link")
    with pytest.raises(InvalidCommand, match="out/zz` is where the batch has its outputs"):
        FetchCommand(config={}).parse_execute(["-f", batchfile, "--to", str(two.folder / "out/zz")])
    two.write("got", "a file")
    with pytest.raises(InvalidDodoFile, match=r"--to: .*got"):
        fetch()


def test_what_a_link_leads_to_is_brought_once_and_is_whole(box: Box, fetch: Fetch) -> None:
    box.batchfile(
        HEAD
        + '[runs.a]\ncmd = "cd $SATURN_RUN_LOCAL_RESULTS_DIR; mkdir sub; echo best > sub/m; ln -s m sub/latest; '
        'ln -s sub/latest latest"\nmatrix = { x = [1] }\n'
    )
    assert box("run").code == 0
    assert "1 whole" in box("verify").err
    assert fetch()[1][0] == "1 fetched, 0.015 kB"
    assert (box.folder / "got/a/1/results/latest").read_text() == "best\n"
    assert fetch()[1][0] == "1 there already"
    assert "1 whole" in box("verify", "--to", "got").err
