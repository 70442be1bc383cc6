"""Chunks, ours and those of `sc`, and run lists as a worker reads them; and the words for what is wrong with them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.batch import Batch, Run, Settings, Share
from pydoit_sc.batchfile import BatchfileError
from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.chunks.chunkfile import chunk_text
from pydoit_sc.chunks.read import read_chunk, read_chunk_at
from pydoit_sc.fingerprint import digest_text
from pydoit_sc.ledger import Work
from pydoit_sc.store import StoreError
from tests.store.gcs import GcsServer


def ours(folder: Path) -> dict[str, Any]:
    """Return a chunk of two runs as data."""
    root = f"file://{folder}/out"
    settings = Settings()
    works = [
        Work(f"a:{n}", Run(str(n), f"echo {n}", f"a/{n}", settings), f"{root}/a/{n}", "1-0-0-0")
        for n in (1, 2)
    ]
    batch = Batch("b", folder / "batchfile.toml", root, ())
    data: dict[str, Any] = json.loads(chunk_text(batch, works, nprocs=1, submission="s1"))
    return data


def of_sc(root: str, **first: Any) -> dict[str, Any]:
    """Return a chunk of two runs as `sc split` writes it."""
    runs = [
        {
            "remote_output_path": f"{root}/{n}",
            "cmd": f"echo {n}",
            "local_results_dir": f"/tmp/{n}/",
            "status_code": None,
            "status": None,
        }
        for n in (1, 2)
    ]
    runs[0].update(first)
    return {"runs": runs, "remote_output_path": root, "nprocs": 3}


def read(data: object, folder: Path) -> Chunk:
    (folder / "0.json").write_text(json.dumps(data, indent=1))
    return read_chunk(folder / "0.json")


def faults(data: object, folder: Path) -> list[str]:
    with pytest.raises(BatchfileError) as error:
        read(data, folder)
    return [problem.message for problem in error.value.problems]


def test_our_chunk_gives_the_works_of_its_plan(tmp_path: Path) -> None:
    chunk = read(ours(tmp_path), tmp_path)
    first = chunk.works[0]
    assert (first.task, first.run.name, first.run.key, first.run.cmd) == ("a:1", "1", "a/1", "echo 1")
    assert first.run.local_results_dir is None  # that is for `sc`: ours writes into its attempt's own folder
    assert first.output == f"file://{tmp_path}/out/a/1"
    assert (chunk.submission, chunk.always, chunk.batch.nprocs) == ("s1", False, 1)
    assert chunk.works[1].run.settings is first.run.settings


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("my cmds.txt", "true\n"),
        ("a.json", '["true"]'),
        ("a.json", '{"runs": [{"cmd": "true"}]}'),
        ("a.csv", "cmd\ntrue\n"),
    ],
)
def test_a_list_without_a_place_is_no_chunk(tmp_path: Path, name: str, text: str) -> None:
    """The options that other commands have for it are none of `batch`."""
    (tmp_path / name).write_text(text)
    with pytest.raises(BatchfileError, match="expected a chunk of `split`, or a run list with") as error:
        read_chunk(tmp_path / name)
    (problem,) = error.value.problems
    assert f"run {shlex.quote(str(tmp_path / name))} --to FOLDER` executes" in problem.message


def test_a_chunk_of_sc_is_a_submission_of_its_own(tmp_path: Path) -> None:
    """Which `sc split` has chosen: what it names is executed, once."""
    root = f"{tmp_path}/out"
    chunk = read(of_sc(root, status_code=1, status="error"), tmp_path)
    assert chunk.submission.startswith("sc-")
    assert chunk.always
    assert chunk.batch.remote_output_path == f"file://{root}"
    first = chunk.works[0]
    assert (first.task, first.run.key, first.run.local_results_dir) == ("runs:1", "1", "/tmp/1/")
    assert first.output == f"{root}/1"  # as `sc` would tell the run
    assert first.fingerprint == f"{digest_text('echo 1')}-0-0-0"
    assert read(of_sc(root, cmd="echo 3"), tmp_path).submission != chunk.submission


def test_a_run_list_is_no_submission(tmp_path: Path) -> None:
    data = {"runs": [{"cmd": "true", "retries": 2}, {"cmd": "x", "name": "y"}], "remote_output_path": "out"}
    chunk = read(data, tmp_path)
    assert (chunk.submission, chunk.always, chunk.batch.nprocs) == ("", False, None)
    assert [(work.task, work.output) for work in chunk.works] == [
        ("runs:0", f"file://{tmp_path}/out/0"),
        ("runs:y", f"file://{tmp_path}/out/y"),
    ]
    assert chunk.works[0].run.settings.retries == 2


@pytest.mark.parametrize(("said", "bound"), [("100%", Share(1.0)), (3, 3)])
def test_a_bound_of_failures_beside_the_runs(tmp_path: Path, said: object, bound: object) -> None:
    """Which `batch` has no option for: of a run list, a chunk of `sc`, and in place of what our chunk says."""
    listed = {"remote_output_path": "out", "max_failures": said, "runs": [{"cmd": "true"}]}
    sc = of_sc(f"{tmp_path}/out")
    own = ours(tmp_path)
    own["pydoit_sc"]["max_failures"] = 7
    assert read(own, tmp_path).batch.max_failures == 7
    assert read(own | {"max_failures": None}, tmp_path).batch.max_failures == 7
    for data in (listed, sc | {"max_failures": said}, own | {"max_failures": said}):
        assert read(data, tmp_path).batch.max_failures == bound
    assert read(sc | {"max_failures": said}, tmp_path).submission == read(sc, tmp_path).submission
    for data in (listed, sc, own):
        (message,) = faults(data | {"max_failures": "many"}, tmp_path)
        assert "an integer of at least 1 or a share" in message


def test_what_a_run_list_depends_on_is_a_part_of_its_fingerprints(tmp_path: Path) -> None:
    """So that `batch` and `run` agree on what is up to date."""
    data = {"runs": [{"cmd": "true", "file_dep": ["data"]}], "remote_output_path": "out"}
    found = set()
    for text in ("a", "b"):
        (tmp_path / "data").write_text(text)
        found.add(read(data, tmp_path).works[0].fingerprint)
    assert len(found) == 2


def test_a_batchfile_with_stages_is_no_chunk(tmp_path: Path) -> None:
    file = tmp_path / "batchfile.toml"
    file.write_text('[batch]\nremote_output_path = "out"\n[runs.a]\ncmd = "true"\n')
    with pytest.raises(
        BatchfileError, match=r"batchfile\.toml: .* with stages; `pydoit-sc run` executes it$"
    ):
        read_chunk(file)


def test_a_chunk_at_a_url_is_called_by_its_url(tmp_path: Path) -> None:
    url = "memory://bucket/chunks/0.json"
    with pytest.raises(StoreError, match=f"{url}: no such file"):
        read_chunk_at(url, {})
    import fsspec

    with fsspec.open(url, "w") as file:
        file.write('{"runs": [')
    with pytest.raises(BatchfileError, match=f"^{url}:1:11: not JSON"):
        read_chunk_at(url, {})
    with fsspec.open(url, "w") as file:
        json.dump(ours(tmp_path), file)
    assert read_chunk_at(url, {}) == read(ours(tmp_path), tmp_path)
    assert read_chunk_at(f"file://{tmp_path}/0.json", {}) == read_chunk(tmp_path / "0.json")


def test_a_chunk_may_be_at_the_top_of_a_bucket(tmp_path: Path) -> None:
    with GcsServer("box") as server:
        server.write("box", "0.json", json.dumps(ours(tmp_path)).encode())
        url = {"gcs_base_url": server.url, "disable_oauth": True}
        token = {**url, "client_email": "", "private_key": "", "private_key_id": ""}
        assert read_chunk_at("gs://box/0.json", {"token": token}) == read(ours(tmp_path), tmp_path)


def _without(*where: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(data: Any) -> None:
        for part in where[:-1]:
            data = data[part]
        del data[where[-1]]

    return spoil


def _with(value: object, *where: Any) -> Callable[[dict[str, Any]], None]:
    def spoil(data: Any) -> None:
        for part in where[:-1]:
            data = data[part]
        data[where[-1]] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without("nprocs"), "no `nprocs`"),
        (
            _with("two", "nprocs"),
            'nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found "two"',
        ),
        (_without("runs", 1, "cmd"), "runs[1]: no `cmd`"),
        (_with("", "runs", 0, "cmd"), "runs[0].cmd: the command is empty"),
        (_with(1, "runs", 1, "retries"), "runs[1].retries: unknown key"),
        (_with("/elsewhere/x", "runs", 0, "remote_output_path"), "expected a path below the batch's"),
        (_with(1, "pydoit_sc", "extra"), "pydoit_sc.extra: unknown key"),
        (_without("pydoit_sc", "submission"), "pydoit_sc: no `submission`"),
        (
            _with("yes", "pydoit_sc", "always"),
            'pydoit_sc.always: expected true or false, found "yes"; split again',
        ),
        (
            _with("many", "pydoit_sc", "max_failures"),
            "pydoit_sc.max_failures: expected an integer of at least 1",
        ),
        (_with("tmp", "pydoit_sc", "scratch"), 'pydoit_sc.scratch: expected an absolute path, found "tmp"'),
        (
            _with(-1, "pydoit_sc", "settings", 0, "retries"),
            "settings[0].retries: expected an integer of at least 0",
        ),
        (_with([0], "pydoit_sc", "settings", 0, "retry_on"), "expected a status code from 1 to 255, found 0"),
        (_with({"A=B": ""}, "pydoit_sc", "settings", 0, "env"), "not the name of an environment variable"),
        (_with([], "pydoit_sc", "settings"), "expected a position in `settings`, found 0"),
        (_with({}, "pydoit_sc", "runs"), "pydoit_sc.runs: no entry for the run "),
        (_with([], "pydoit_sc"), "pydoit_sc: expected a table, found an empty list; split again"),
    ],
)
def test_what_is_wrong_is_named(
    spoil: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    data = ours(tmp_path)
    spoil(data)
    assert any(message in found for found in faults(data, tmp_path))


def test_all_that_is_wrong_is_named_with_its_place(tmp_path: Path) -> None:
    data = of_sc("file:///out", cmd="")
    data["runs"][1]["retries"] = 3
    (tmp_path / "0.json").write_text(json.dumps(data, indent=1))
    with pytest.raises(BatchfileError) as error:
        read_chunk(tmp_path / "0.json")
    assert str(error.value).splitlines() == [
        f"{tmp_path}/0.json:5:4: runs[0].cmd: the command is empty",
        (
            f"{tmp_path}/0.json:16:4: runs[1].retries: unknown key; known are `remote_output_path`, `cmd`, "
            "`local_results_dir`, `status_code`, `status`"
        ),
    ]


def test_runs_that_lie_elsewhere_are_not_the_same(tmp_path: Path) -> None:
    data = of_sc("file:///out")
    for n, run in enumerate(data["runs"]):
        run["remote_output_path"] = f"file:///elsewhere/{n}"
    assert ["expected a path below" in line for line in faults(data, tmp_path)] == [True] * len(data["runs"])


def test_no_two_runs_share_their_output(tmp_path: Path) -> None:
    data = of_sc("file:///out")
    data["runs"][0]["remote_output_path"] = data["runs"][1]["remote_output_path"]
    (twice,) = faults(data, tmp_path)
    assert twice.startswith(
        "runs[1].remote_output_path: `2` is twice the output of a run; the first is runs[0]"
    )
    data["runs"][0]["remote_output_path"] += "/x"
    (inside,) = faults(data, tmp_path)
    assert "the output of `2/x` would lie inside that of `2`, runs[1]" in inside
