"""What stands in a chunk: the seed's keys for `sc`, and the rest in one object beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pydoit_sc.batch import Batch, Run, Settings, Share
from pydoit_sc.chunks.chunk import Before, Chunk
from pydoit_sc.chunks.chunkfile import ChunkFile, chunk_text
from pydoit_sc.chunks.read import read_chunk
from pydoit_sc.ledger import Work

ROOT = "file:///out"

#: What the run `plot` comes after: a whole stage, and a run.
BEFORE = {f"{ROOT}/plot": [Before("a"), Before(runs={"b/1": "f"})]}


def written(works: list[Work], **batch: Any) -> str:
    made = Batch("b", Path("/b/batchfile.toml"), batch.pop("remote_output_path", ROOT), (), **batch)
    return chunk_text(made, works, nprocs=2, submission="s1", always=True, before=BEFORE)


def work(task: str, settings: Settings | None = None, cmd: str = "true") -> Work:
    key = task.replace(":", "/")
    name = task.partition(":")[2] or task
    return Work(task, Run(name, cmd, key, settings or Settings()), f"{ROOT}/{key}", f"of {key}")


def reread(text: str, folder: Path) -> Chunk:
    (folder / "0.json").write_text(text)
    return read_chunk(folder / "0.json")


def test_the_keys_of_the_seed_stay_as_they_are() -> None:
    data = json.loads(written([work("a:1"), work("plot")]))
    assert list(data) == ["runs", "remote_output_path", "nprocs", "pydoit_sc"]
    assert (data["remote_output_path"], data["nprocs"]) == (ROOT, 2)
    folders = [run.pop("local_results_dir") for run in data["runs"]]
    assert data["runs"] == [
        {"remote_output_path": f"{ROOT}/{key}", "cmd": "true", "status_code": None, "status": None}
        for key in ("a/1", "plot")
    ]
    assert len(set(folders)) == 2
    assert all(folder.startswith("/tmp/") and folder.endswith("/") for folder in folders)


def test_what_we_add_is_found_by_the_output_of_the_run() -> None:
    shared = Settings(retries=1)
    data = json.loads(written([work("a:1", shared), work("plot"), work("a:2", shared)]))["pydoit_sc"]
    assert data["runs"] == {
        f"{ROOT}/a/1": {"task": "a:1", "fingerprint": "of a/1", "settings": 0, "after": [], "axes": {}},
        f"{ROOT}/plot": {
            "task": "plot",
            "fingerprint": "of plot",
            "settings": 1,
            "after": [0, 1],
            "axes": {},
        },
        f"{ROOT}/a/2": {"task": "a:2", "fingerprint": "of a/2", "settings": 0, "after": [], "axes": {}},
    }
    assert [settings["retries"] for settings in data["settings"]] == [1, 0]


def test_runs_that_differ_in_file_dep_alone_share_their_settings() -> None:
    env = {"A": "1"}
    works = [work(f"a:{n}", Settings(env, (f"{n}.csv",), timeout=1.0 + (n == 2))) for n in range(3)]
    data = json.loads(written(works))["pydoit_sc"]
    assert [run["settings"] for run in data["runs"].values()] == [0, 0, 1]


def test_digests_of_files_travel_once(tmp_path: Path) -> None:
    files = {"in.csv": "0123456789abcdef"}
    works = [work(f"a:{n}")._replace(fingerprint=f"{n}-0-f-0", files=files) for n in range(3)]
    text = written([*works, work("plot")])
    assert json.loads(text)["pydoit_sc"]["file_dep"] == {"f": files}
    assert [one.files for one in reread(text, tmp_path).works] == [files, files, files, {}]


def test_a_chunk_reads_back_as_it_was_written(tmp_path: Path) -> None:
    own = Settings(
        env={"A": "é\n", "B": ""},
        timeout=0.25,
        grace=0.0,
        retries=3,
        retry_on=frozenset((137, 75)),
        shell=("bash", "-ec"),
        slots=3,
        memory=4_000_000_000,
    )
    works = [work("a:x/ü", own, "echo 'é'"), work("plot"), work("runs:-$(x)")]
    works[0] = works[0]._replace(axes={"x": 1, "on": True, "lr": 0.5, "file.name": "ü"})
    batch = Batch(
        "",
        Path(),
        ROOT,
        (),
        "gpus",
        at_most=2,
        max_failures=Share(0.025),
        durable=False,
        patience=7.5,
        scratch="/local/disk",
        min_free_memory=2_000_000_000,
        storage_options={"client_kwargs": {"region_name": "here"}},
    )
    text = chunk_text(batch, works, nprocs="gpus", submission="s1", always=True, before=BEFORE)
    assert text.isascii()  # `sc` reads it in the encoding of its locale
    assert reread(text, tmp_path) == Chunk(
        works, batch, "s1", always=True, before={f"{ROOT}/plot": list(BEFORE[f"{ROOT}/plot"])}
    )


def test_runs_are_written_as_the_models_have_them() -> None:
    """They are written by hand."""
    works = [work("a:1")._replace(axes={"x": 1, "on": True}), work("plot", Settings(retries=1), "é")]
    data = json.loads(written(works))
    assert json.dumps(ChunkFile.model_validate(data).model_dump()) == json.dumps(data)


@pytest.mark.parametrize("bound", [None, 1, 1000, Share(1.0), Share(0.000001)])
def test_a_number_of_failures_reads_back(bound: int | Share | None, tmp_path: Path) -> None:
    assert reread(written([work("plot")], max_failures=bound), tmp_path).batch.max_failures == bound


def test_the_order_of_status_codes_makes_no_difference_to_the_text() -> None:
    texts = set()
    for codes in ((1, 2, 300 - 45), (255, 2, 1)):
        data = json.loads(written([work("plot", Settings(retry_on=frozenset(codes)))]))
        texts.add(json.dumps(data["pydoit_sc"]))
    assert len(texts) == 1


def test_secrets_of_the_store_stay_out_of_chunks(tmp_path: Path) -> None:
    options = {
        "endpoint_url": "http://127.0.0.1:1",
        "account_name": "ours",
        "key": "canary",
        "secret": "canary",
        "sas": "canary",  # what no list of secrets knows
        "client_kwargs": {"region_name": "here", "aws_secret_access_key": "canary"},
    }
    text = written([work("plot")], storage_options=options)
    assert "canary" not in text
    assert reread(text, tmp_path).batch.storage_options == {
        "endpoint_url": "http://127.0.0.1:1",
        "account_name": "ours",
        "client_kwargs": {"region_name": "here"},
    }
