"""Our chunks under the published `sc batch`, and its chunks here: the outputs are the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pydoit_sc.store import open_store
from tests.worker.workplace import PATIENCE, Workplace, finish

RUNS = {
    "plain": "echo out; echo err >&2",
    "nothing": ":",
    "failed": "printf 'no newline'; exit 3",
    "unicode": "printf 'äöü 日本 🎉\\n\\033[1m\\n'",
    "many lines": "seq 100000; seq 5 >&2",
    "results": 'cd "$SATURN_RUN_LOCAL_RESULTS_DIR" && mkdir -p "sub/two words" && : > empty && '
    "printf '\\377\\000' > 'sub/two words/data' && echo ü > ü",
    "a name appended": 'echo 1 > "${SATURN_RUN_LOCAL_RESULTS_DIR}metrics.json"',
    "environment": 'echo "$SATURN_RUN_REMOTE_OUTPUT_PATH $(ls -A "$SATURN_RUN_LOCAL_RESULTS_DIR")"; '
    'test -w "$SATURN_RUN_LOCAL_RESULTS_DIR" && test "$SATURN_RUN_LOCAL_RANK" -lt 2',
    "quoting": """echo "a'b" 'c"d' $((1 + 1)) "$(echo x)" \\\\ '{braces}' '$HOME'""",
    "not found": "no-such-program-anywhere; exit 9",
}

SPLIT = """
import json, sys
from saturn_client.run import split
split({"spec": {}}, json.load(open(sys.argv[1])), sys.argv[2], sys.argv[2], batch_size=100,
      include_completed=True, include_failures=True)
"""


@pytest.fixture
def sc(place: Workplace) -> Workplace:
    """A workplace where `sc` works."""
    place.env |= {"SATURN_BASE_URL": "http://127.0.0.1:9", "SATURN_TOKEN": "none", "PYTHONWARNINGS": "ignore"}
    return place


def run(place: Workplace, *command: str) -> None:
    done = subprocess.run(
        command,
        env=place.env,
        cwd=place.folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def outputs(folder: Path) -> dict[str, bytes]:
    """Return what a batch has put out, by path, without what is ours alone."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".pydoit_sc" not in path.parts and path.name != "run.json"
    }


def test_our_chunk_under_sc_and_here(sc: Workplace) -> None:
    chunk = sc.chunk(RUNS)
    run(sc, os.path.join(os.path.dirname(sys.executable), "sc"), "batch", str(chunk))
    theirs = outputs(sc.out)
    assert sc.read("results", "results/sub/two words/data") == b"\xff\0"
    shutil.rmtree(sc.out)
    sc.work(chunk)
    ours = outputs(sc.out)
    assert ours.keys() == theirs.keys()
    assert {path for path in ours if ours[path] != theirs[path]} == set()
    assert sc.codes() == dict.fromkeys(RUNS, 0) | {"failed": 3, "not found": 9}


def test_what_sc_has_done_of_our_chunk_is_not_done_again(sc: Workplace) -> None:
    counted = {name: f'echo {name} >> "$HERE/log"; exit {code}' for name, code in {"a": 0, "b": 1}.items()}
    chunk = sc.chunk(counted)
    run(sc, os.path.join(os.path.dirname(sys.executable), "sc"), "batch", str(chunk))
    sc.work(chunk)
    assert sorted(sc.lines("log")) == ["a", "b", "b"]
    assert (sc.out / "b/run.json").exists()
    assert not (sc.out / "a/run.json").exists()


def test_what_sc_has_seen_killed_has_failed(sc: Workplace) -> None:
    chunk = sc.chunk({"a": "kill -9 $$", "b": "kill -SEGV $$", "c": "exit 1", "d": ":"})
    run(sc, os.path.join(os.path.dirname(sys.executable), "sc"), "batch", str(chunk))
    assert sc.read("a", "status_code") == b"-9"
    records = open_store(str(sc.out), {}).scan("abcd")
    assert [records[key].code for key in "abcd"] == [137, 139, 1, 0]


def test_a_chunk_of_sc_here_and_there(sc: Workplace) -> None:
    batch = sc.folder / "batch.json"
    runs = [
        {
            "cmd": cmd,
            "remote_output_path": f"file://{sc.out}/{name}",
            "local_results_dir": f"{sc.folder}/r/{i}/",
        }
        for i, (name, cmd) in enumerate(RUNS.items())
    ]
    batch.write_text(json.dumps({"runs": runs, "remote_output_path": f"file://{sc.out}", "nprocs": 2}))
    run(sc, sys.executable, "-c", SPLIT, str(batch), str(sc.folder / "commands"))
    chunk = sc.folder / "commands/0.json"
    sc.work(chunk)
    ours = outputs(sc.out)
    assert not (sc.folder / "r").exists()  # that is for `sc`: two attempts would share it
    assert "0 of" not in sc.work(chunk)  # the failed ones again
    assert outputs(sc.out) == ours
    shutil.rmtree(sc.out)
    run(sc, os.path.join(os.path.dirname(sys.executable), "sc"), "batch", str(chunk))
    theirs = outputs(sc.out)
    assert ours.keys() == theirs.keys()
    assert {path for path in ours if ours[path] != theirs[path]} == set()
    # `sc` says nothing of its submission: what it has done is done again, once, as `sc` itself would.
    sc.work(chunk)
    sc.work(chunk)
    assert sc.codes() == dict.fromkeys(RUNS, 0) | {"failed": 3, "not found": 9}


def test_attempts_never_share_a_results_folder(sc: Workplace) -> None:
    shared = str(sc.folder / "r")
    cmd = 'sleep 0.0{0}; echo {0} > "$SATURN_RUN_LOCAL_RESULTS_DIR/{0}"; ls "$SATURN_RUN_LOCAL_RESULTS_DIR"'
    runs = [
        {"cmd": cmd.format(n), "remote_output_path": f"file://{sc.out}/{n}", "local_results_dir": shared}
        for n in range(8)
    ]
    chunk = sc.folder / "shared.json"
    chunk.write_text(json.dumps({"runs": runs, "remote_output_path": f"file://{sc.out}", "nprocs": 4}))
    workers = [sc.start(chunk), sc.start(chunk)]
    for worker in workers:
        finish(worker)
    for n in range(8):
        assert sc.read(str(n)) == f"{n}\n".encode()
        assert os.listdir(sc.out / str(n) / "results") == [str(n)]
    assert not os.path.exists(shared)
