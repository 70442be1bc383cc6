"""The engine `kubernetes`: its manifest by the published schema and a golden file, and `kubectl` by a stand-in.

No cluster was there. The stand-in writes down what it is called with, and answers as the API's documentation shows.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pydoit_sc.batchfile import BatchfileError, load
from pydoit_sc.engines.base import EngineError, State, Submission
from pydoit_sc.engines.kubectl import state_of
from pydoit_sc.engines.kubernetes import (
    FILE,
    Kubernetes,
    KubernetesTable,
    literal,
    manifest,
    to_yaml,
)
from tests.engines.handed import Yard, handed, submission_of

GOLDEN = Path(__file__).parent / "kubernetes_job.yaml"

BATCH = """\
[batch]
name = "Weather of Seattle"
remote_output_path = "s3://bucket/weather"
batch_size = 3
scale = 2
grace = "30 s"

[runs.month]
cmd = "echo {x} >> log"
matrix = { x = { range = [0, 20] } }
"""

TABLE = """
[kubernetes]
image = "registry.example.com/weather:1"
namespace = "batch"
cpu = 4
memory = "8Gi"
gpus = 1
service_account = "worker"
secrets = ["store"]
env = { MODE = "y", TRIES = "1e3", PRICE = "$(HOME) $5" }
labels = { team = "climate" }
node_selector = { "kubernetes.io/arch" = "amd64" }
volumes = { "/data" = "weather-data" }
"""

SETUP = 'folder=$(mktemp -d) || exit 1\ncd -- "$folder" || exit 1\n'

#: As the API's reference has them: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
STATUSES: dict[str, tuple[dict[str, Any], State, str]] = {
    "new": ({}, State.QUEUED, "0 of 7 chunks"),
    "pending": ({"active": 2, "ready": 0}, State.QUEUED, "0 of 7 chunks"),
    "at-work": ({"active": 2, "ready": 1}, State.RUNNING, "0 of 7 chunks"),
    "between": ({"active": 2, "ready": 0, "succeeded": 3}, State.RUNNING, "3 of 7 chunks"),
    "ending": (
        {
            "active": 1,
            "ready": 1,
            "succeeded": 6,
            "conditions": [{"type": "FailureTarget", "status": "True"}],
        },
        State.RUNNING,
        "6 of 7 chunks",
    ),
    "complete": (
        {"succeeded": 7, "completedIndexes": "0-6", "conditions": [{"type": "Complete", "status": "True"}]},
        State.ENDED,
        "7 of 7 chunks",
    ),
    "failed": (
        {
            "succeeded": 5,
            "failed": 8,
            "completedIndexes": "0,2-3,5-6",
            "failedIndexes": "1,4",
            "conditions": [{"type": "Failed", "status": "True", "reason": "FailedIndexes"}],
        },
        State.ENDED,
        "5 of 7 chunks, given up: 1,4",
    ),
}


def job(name: str, status: Mapping[str, Any], submission: str = "", **spec: Any) -> dict[str, Any]:
    """Return a Job as the API describes it."""
    labels = {"app.kubernetes.io/name": "pydoit-sc", "pydoit-sc/submission": submission}
    annotations = {"pydoit-sc/remote-output-path": "s3://bucket/weather"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "batch", "labels": labels, "annotations": annotations},
        "spec": {"completions": 7, "parallelism": 2, "completionMode": "Indexed", **spec},
        "status": dict(status),
    }


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A folder with a batch, and the engine."""
    return Yard(tmp_path, Kubernetes())


def submission_in(yard: Yard, text: str, **changes: Any) -> Submission:
    """Return a submission with an id that is known before; its chunks are in a folder here only."""
    (yard.folder / "batchfile.toml").write_text(text)
    batch = load(yard.folder / "batchfile.toml")
    here = batch._replace(remote_output_path=f"file://{yard.folder}/out")
    made = submission_of(here, "kubernetes", batch.table("kubernetes", KubernetesTable), **changes)
    id_ = "20240102-030405-abcdef"
    chunks = f"{batch.remote_output_path}/.pydoit_sc/submissions/{id_}"
    return replace(made, id=id_, batch=batch, chunks=chunks)


class StandIn:
    """A program `kubectl` that writes down its words and what it reads, and says what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(
            "#!/bin/sh\n"
            f"cd '{folder}'\n"
            'for word; do printf "%s\\n" "$word"; done > words.$$ && echo end >> words.$$ && cat words.$$ >> words\n'
            'cat "answer of $1" 2>&- || exit 0\n'
            'test ! -e fails || { echo "Error from server (Forbidden): jobs.batch is forbidden" >&2; exit 1; }\n'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def answers(self, verb: str, document: object) -> None:
        """Set what it answers to `kubectl VERB`."""
        (self.folder / f"answer of {verb}").write_text(json.dumps(document))

    def calls(self) -> list[list[str]]:
        """Return the words of each call."""
        text = (self.folder / "words").read_text()
        return [call.split("\n")[:-1] for call in text.split("end\n")[:-1]]


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return StandIn(folder)


def test_the_manifest(yard: Yard) -> None:
    submission = submission_in(yard, BATCH + TABLE, setup=SETUP)
    assert yard.engine.prepare(submission) == {FILE: GOLDEN.read_text()}


def test_the_schema_of_the_api(yard: Yard) -> None:
    """From 1.29 on, where a limit for each index is no longer an alpha feature, to the newest that is known."""
    validator = pytest.importorskip("kubernetes_validate")
    bare = submission_in(yard, BATCH + '[kubernetes]\nimage = "x"\n')
    documents = [yaml.safe_load(GOLDEN.read_text()), yaml.safe_load(to_yaml(manifest(bare)))]
    versions = sorted({version for version in validator.utils.all_versions() if version >= "1.29"})
    assert versions
    for version in versions:
        for document in documents:
            validator.validate(document, version, strict=True)
    documents[0]["spec"]["backofLimitPerIndex"] = 1
    with pytest.raises(validator.ValidationError):
        validator.validate(documents[0], versions[-1], strict=True)


def test_every_version_of_yaml_reads_the_same(yard: Yard) -> None:
    ruamel = pytest.importorskip("ruamel.yaml")
    document = manifest(submission_in(yard, BATCH + TABLE, setup=SETUP))
    document["odd"] = [
        "y",
        "no",
        "1e3",
        "0o7",
        "1:30",
        "~",
        "",
        " x",
        "a: b",
        "#",
        "é\n\t'\"",
        "x\n",
        "true",
        "Null",
    ]
    text = to_yaml(document)
    assert yaml.safe_load(text) == document
    for version in ((1, 1), (1, 2)):
        reader = ruamel.YAML(typ="safe", pure=True)
        reader.version = version
        assert reader.load(text) == document, version


@pytest.mark.parametrize(
    "setup", ["", "mkdir -p 'it'\\''s $(here) $$' && cd 'it'\\''s $(here) $$' || exit 1\n"]
)
def test_a_pod_executes_its_chunk(yard: Yard, setup: str) -> None:
    """With the volume's path as it is here, by the words that Kubernetes makes of those in the manifest."""
    text = BATCH.replace("s3://bucket/weather", f"file://{yard.folder}/out $(x)")
    table = f'[kubernetes]\nimage = "x"\ncpu = "2500m"\nvolumes = {{ "{yard.folder}" = "claim" }}\n'
    submission = submission_in(yard, text + table, setup=setup)
    there = Path(submission.chunks.removeprefix("file://"))
    there.mkdir(parents=True)
    for n, chunk in enumerate(submission.texts):
        (there / f"{n}.json").write_text(chunk.replace(f"{yard.folder}/out", f"{yard.folder}/out $(x)"))
    (pod,) = manifest(submission)["spec"]["template"]["spec"]["containers"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # an image has the program on it
    env = {"JOB_COMPLETION_INDEX": "1", "PATH": path}
    words = [expanded(word, env) for word in (*pod["command"], *pod["args"])]
    done = subprocess.run(
        words, cwd=yard.folder, capture_output=True, text=True, timeout=60, check=True, env=os.environ | env
    )
    assert "3 completed" in done.stdout
    folder = yard.folder / "it's $(here) $$" if setup else yard.folder
    assert sorted((folder / "log").read_text().split()) == ["3", "4", "5"]


def expanded(text: str, env: Mapping[str, str]) -> str:
    """Do what Kubernetes does with `command` and `args`: `$(NAME)` is a variable if there is one, `$$` is a `$`."""
    out, at = "", 0
    while at < len(text):
        end = text.find(")", at)
        if text[at : at + 2] == "$$":
            out, at = out + "$", at + 2
        elif text[at : at + 2] == "$(" and end > 0:
            name = text[at + 2 : end]
            out, at = out + env.get(name, f"$({name})"), end + 1
        else:
            out, at = out + text[at], at + 1
    return out


@pytest.mark.parametrize("text", ["", "$", "$$", "$(HOME)", "a$(b $$(c) $", "$((1 + 1))"])
def test_a_text_stays_as_it_is(text: str) -> None:
    assert expanded(literal(text), {"HOME": "x", "b": "y", "c": "z"}) == text


def test_a_job_is_created_watched_and_deleted(yard: Yard, kubectl: StandIn) -> None:
    submission = submission_in(yard, BATCH + TABLE)
    kubectl.answers("create", job("weather-1", {}))
    jobs = yard.hand_in(submission)
    assert jobs == ["batch/weather-1"]
    of_others = job("other", STATUSES["at-work"][0], "another")
    mine = job("weather-1", STATUSES["at-work"][0], submission.id)
    kubectl.answers("get", {"apiVersion": "v1", "kind": "List", "items": [mine, of_others]})
    said = [*jobs, "batch/gone", "other/weather-1", "--all", "batch/--all", "batch/other"]
    states = yard.states(submission, said)
    ended, unknown = State.ENDED, State.UNKNOWN
    assert states == [State.RUNNING, ended, unknown, ended, ended, State.RUNNING]
    with pytest.raises(EngineError, match=r"cannot be ended from here: .*namespace other, "):
        yard.cancel(submission, said)
    path = f"{submission.folder}/{FILE}"
    listed = ["--selector", "app.kubernetes.io/name=pydoit-sc", "--output", "json"]
    assert kubectl.calls() == [
        ["create", "--filename", path, "--output", "json"],
        ["get", "jobs", "--namespace", "batch", *listed],
        ["get", "jobs", "--namespace", "batch", *listed],
        ["delete", "jobs", "--namespace", "batch", "--ignore-not-found", "--wait=false", "--", "weather-1"],
    ]
    assert yard.engine.hints(handed(submission, jobs)) == {
        "pods in batch": "kubectl get pods --namespace batch --selector 'job-name in (weather-1)'",
        "what the workers write in batch": "kubectl logs --prefix --tail -1 --namespace batch "
        "--selector 'job-name in (weather-1)'",
    }


@pytest.mark.parametrize("name", STATUSES)
def test_how_a_job_stands(name: str) -> None:
    status, state, detail = STATUSES[name]
    found = state_of(job(name, status))
    assert (found.state, found.detail) == (state, detail)


def test_a_suspended_job_is_held() -> None:
    assert state_of(job("x", {"succeeded": 1}, suspend=True)).state is State.HELD


def test_kubectl_fails(yard: Yard, kubectl: StandIn) -> None:
    (kubectl.folder / "fails").touch()
    kubectl.answers("create", {})
    with pytest.raises(
        EngineError, match=r"^kubectl: Error from server \(Forbidden\): jobs.batch is forbidden$"
    ):
        yard.hand_in(submission_in(yard, BATCH + TABLE))


def test_split_writes_chunks_and_a_manifest(yard: Yard) -> None:
    text = BATCH.replace("s3://bucket/weather", "file://out")
    table = f'[kubernetes]\nimage = "x"\nvolumes = {{ "{yard.folder}" = "claim" }}\n'
    (yard.folder / "batchfile.toml").write_text(text + table)
    done = split(yard, "--scale", "5", "--batch-size", "10")
    (submission,) = (yard.folder / "out" / ".pydoit_sc" / "submissions").iterdir()
    assert done.stdout.endswith(f"next: kubectl create -f {submission}/job.yaml\n")
    assert sorted(path.name for path in submission.glob("*.json")) == ["0.json", "1.json"]
    document = yaml.safe_load((submission / FILE).read_text())
    assert (document["spec"]["completions"], document["spec"]["parallelism"]) == (2, 2)
    for words in (["--engine", "slurm"], ["--sync", "x"], ["recipe.yaml", "batchfile.toml"]):
        wrong = split(yard, *words)
        assert (wrong.returncode, "Traceback" in wrong.stderr) == (3, False)


def split(yard: Yard, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `pydoit-sc split --engine kubernetes` in the yard."""
    command = [sys.executable, "-m", "pydoit_sc", "split", "--engine", "kubernetes", *words]
    return subprocess.run(command, cwd=yard.folder, capture_output=True, text=True, timeout=60, check=False)


def test_there_is_no_kubectl(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(yard.folder))
    with pytest.raises(
        EngineError, match=r"`kubectl` is not on PATH: .*`pydoit-sc split --engine kubernetes`"
    ):
        yard.hand_in(submission_in(yard, BATCH + TABLE))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (TABLE, "[kubernetes]\n", r"\[kubernetes\]: no `image`"),
        ("s3://bucket/weather", "file:///home/me/out", "the outputs go to /home/me/out, which no pod sees"),
        ("s3://bucket/weather", "file:///data2/out", "which no pod sees"),
        ("scale = 2", 'nprocs = "gpus"', None),
        ("gpus = 1\n", "", None),
        ("s3://bucket/weather", "file:///data/out", None),
    ],
)
def test_what_a_manifest_needs(yard: Yard, old: str, new: str, message: str | None) -> None:
    submission = submission_in(yard, (BATCH + TABLE).replace(old, new))
    if message is None:
        yard.engine.prepare(submission)
        return
    with pytest.raises(EngineError, match=message):
        yard.engine.prepare(submission)


def test_gpus_that_a_pod_does_not_have(yard: Yard) -> None:
    text = (BATCH + TABLE).replace("gpus = 1\n", "").replace("scale = 2", 'nprocs = "gpus"')
    with pytest.raises(EngineError, match='nprocs = "gpus", but there is no `gpus` here'):
        yard.engine.prepare(submission_in(yard, text))


def test_more_chunks_than_a_job_takes(yard: Yard) -> None:
    submission = submission_in(yard, BATCH + TABLE)
    with pytest.raises(EngineError, match=r"100,001 chunks, .* at most 100,000; a larger `batch_size`"):
        manifest(replace(submission, texts=["{}"] * 100_001))


@pytest.mark.parametrize(
    ("nprocs", "expected"),
    [("", 4), ("nprocs = 7\n", 7), ('nprocs = "cores"\n', 4), ('nprocs = "gpus"\n', 1)],
)
def test_how_many_runs_a_pod_executes_at_once(yard: Yard, nprocs: str, expected: int) -> None:
    text = (BATCH + TABLE).replace("scale = 2\n", f"scale = 2\n{nprocs}")
    batch = submission_in(yard, text).batch
    assert yard.engine.nprocs(batch) == expected
    if expected == 4:
        for cpu, cores in (("500m", 1), ("2500m", 2), ("3.7", 3)):
            tables = {"kubernetes": KubernetesTable(image="x", cpu=cpu)}
            assert yard.engine.nprocs(batch._replace(tables=tables)) == cores


def test_hostile_names(yard: Yard) -> None:
    for name in ("-", "日本", "A" * 300, "a_b/c", "--x--"):
        submission = submission_in(yard, BATCH + TABLE)
        made = manifest(replace(submission, batch=submission.batch._replace(name=name)))
        label = made["metadata"]["name"]
        assert len(f"{label}-99999") <= 63
        assert label.replace("-", "a").isalnum() and label.isascii() and label == label.lower()
        assert label[0].isalnum()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('cpu = "4k"', "kubernetes.cpu: expected a number of cores"),
        ("cpu = 0", "kubernetes.cpu: expected a number of cores"),
        ('memory = "8 GB"', "kubernetes.memory: expected an amount of memory"),
        ('namespace = "My"', "kubernetes.namespace: expected at most 63 small letters"),
        ('secrets = ["a b"]', "kubernetes.secrets[0]: expected a name in Kubernetes"),
        ('secret = "a"', "kubernetes.secret: unknown key; did you mean `secrets`?"),
        ('labels = { "a b" = "c" }', "kubernetes.labels.'a b': not the name of a label"),
        ('labels = { a = "c d" }', "kubernetes.labels.a: expected a string of at most 63"),
        ('volumes = { data = "c" }', "kubernetes.volumes.data: not an absolute path"),
        ("env = { A = 1 }", 'kubernetes.env.A: expected a string, found 1; write "1"'),
    ],
)
def test_what_the_keys_may_not_be(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "batchfile.toml").write_text(f'{BATCH}[kubernetes]\nimage = "x"\n{line}\n')
    with pytest.raises(BatchfileError) as error:
        load(tmp_path / "batchfile.toml")
    assert message in str(error.value)
    assert ":13:" in str(error.value)


def test_a_table_without_an_image(tmp_path: Path) -> None:
    (tmp_path / "batchfile.toml").write_text(f"{BATCH}[kubernetes]\ncpu = 4\n")
    with pytest.raises(
        BatchfileError, match=r"batchfile.toml:11:1: kubernetes: no `image`, one that has pydoit-sc"
    ):
        load(tmp_path / "batchfile.toml")
