"""What bounds runs: failures, retries, time, ranks; and the signals that end a worker."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal

import pytest

from pydoit_sc.worker.cgroup import memory
from tests.conftest import HEAD, Box, until

MANY = HEAD + '[runs.a]\ncmd = "echo {x} >> log; exit 3"\nmatrix = { x = { range = [0, 60] } }\n'


@pytest.mark.parametrize(("bound", "failures"), [("4", 4), ('"10 %"', 6), ('"0.1 %"', 1)])
def test_max_failures(box: Box, bound: str, failures: int) -> None:
    box.batchfile(MANY.replace("nprocs", f"max_failures = {bound}\nnprocs"))
    assert f"stops after {failures} failure" in box.ok("plan")
    done = box()
    assert done.code == 1
    assert re.search(r"stopped after \d failures? \(`max_failures`\)\n", done.out)
    assert failures <= len(box.executed()) <= failures + 3  # what had been started goes on to its end


def test_a_batch_whose_first_runs_fail_alike_is_stopped(box: Box) -> None:
    box.batchfile(MANY.replace("exit 3", "no-such-program {x}").replace("60", "1500"))
    done = box()
    assert done.code == 1
    assert len(list((box.folder / "out").glob("a/*/status_code"))) in range(20, 40)
    told = done.out.splitlines()[-1]
    assert "20 runs failed in the same way and none has completed: command not found (127), `" in told
    assert "--max-failures 100%" in told
    box.edit("1500", "30")
    done = box("--max-failures", "100%", "-q")
    assert len(list((box.folder / "out").glob("a/*/status_code"))) == 30
    assert "stopped" not in done.out
    assert (
        "--max-failures: expected an integer of at least 1 or a share"
        in box("--max-failures", "some").refused()
    )


def test_retries(box: Box) -> None:
    box.batchfile(
        HEAD
        + """
[runs.third]
cmd = "echo third >> log; echo $(wc -l < log); test $(wc -l < log) -ge 3"
retries = 5
[runs.never]
cmd = "echo never >> log2; exit 9"
retries = 2
[runs.other]
cmd = "echo other >> log3; exit 9"
retries = 2
retry_on = [75]
"""
    )
    done = box()
    assert done.code == 1
    assert box.executed() == ["third"] * 3
    assert box.out("third/stdout") == "3\n"
    assert json.loads(box.out("third/run.json"))["retry_codes"] == [1, 1]
    assert [len((box.folder / log).read_text().split()) for log in ("log2", "log3")] == [3, 1]
    assert box.out("never/status_code") == "9"


def test_timeout(box: Box) -> None:
    box.batchfile(HEAD + '[runs.slow]\ncmd = "echo began; sleep 60 & wait"\ntimeout = 0.3\ngrace = 5\n')
    done = box()
    assert (done.code, done.err) == (1, "")
    assert "failed slow: timed out after 0.3 s" in done.out
    assert box.out("slow/status_code") == "143"
    assert box.out("slow/stdout") == "began\n"
    assert json.loads(box.out("slow/run.json"))["timed_out"] is True


def test_nprocs_cores(box: Box) -> None:
    box.batchfile(
        HEAD.replace("nprocs = 2", 'nprocs = "cores"')
        + '[runs.a]\ncmd = "echo $SATURN_RUN_LOCAL_RANK; sleep 0.1; : {x}"\nmatrix = { x = { range = [0, 12] } }\n'
    )
    box.ok()
    ranks = {int(box.out(f"a/{x}/stdout")) for x in range(12)}
    assert ranks <= set(range(len(os.sched_getaffinity(0))))


def test_slots(box: Box) -> None:
    """The runs of `one` and `two` are never more than three ranks together."""
    cmd = (
        "echo + {w} >> log; sleep 0.05; echo - {w} >> log; echo $SATURN_RUN_LOCAL_RANK $CUDA_VISIBLE_DEVICES"
    )
    box.batchfile(
        HEAD.replace("nprocs = 2", 'nprocs = "gpus"')
        + f'[runs.two]\ncmd = "{cmd}; : {{x}}"\nname = "{{x}}"\nslots = 2\nmatrix = {{ w = [2], x = [1, 2, 3] }}\n'
        + f'[runs.one]\ncmd = "{cmd}; : {{x}}"\nname = "{{x}}"\nmatrix = {{ w = [1], x = [1, 2, 3] }}\n'
    )
    box.ok(CUDA_VISIBLE_DEVICES="4,5,6")
    held = [
        int(f"{sign}{slots}") for sign, slots in map(str.split, (box.folder / "log").read_text().splitlines())
    ]
    assert max(itertools.accumulate(held)) <= 3
    assert {box.out(f"two/{x}/stdout") for x in (1, 2, 3)} <= {"0 4,5\n", "1 5,6\n", "0 4,6\n"}
    box.batchfile(HEAD.replace("nprocs = 2", "") + '[runs.a]\ncmd = "true"\nslots = 3\n')
    assert (
        "a: expected `slots` of at most 2, the runs at once on a machine (`nprocs`), found 3"
        in box("-n", "2").refused()
    )


def test_nprocs_gpus_without_one(box: Box) -> None:
    box.batchfile(HEAD.replace("nprocs = 2", 'nprocs = "gpus"') + '[runs.a]\ncmd = "true"\n')
    assert 'nprocs = "gpus"' in box(CUDA_VISIBLE_DEVICES="").refused()


def test_nprocs_gpus(box: Box) -> None:
    box.batchfile(
        HEAD.replace("nprocs = 2", 'nprocs = "gpus"')
        + '[runs.a]\ncmd = "echo $CUDA_VISIBLE_DEVICES; sleep 0.1; : {x}"\nmatrix = { x = [1, 2, 3, 4] }\n'
    )
    box.ok(CUDA_VISIBLE_DEVICES="5,7")
    assert {box.out(f"a/{x}/stdout") for x in (1, 2, 3, 4)} == {"5\n", "7\n"}


_GPUS = (
    HEAD.replace("nprocs = 2", 'nprocs = "gpus"')
    + '[runs.a]\ncmd = "echo + >> log; sleep 0.2; echo - >> log; '
    'echo $SATURN_RUN_LOCAL_RANK $CUDA_VISIBLE_DEVICES; : {x}"\nmatrix = { x = { range = [0, 6] } }\n'
)


@pytest.mark.parametrize(
    "words", [("run", "-n"), ("submit", "--engine", "local", "--wait", "-n")], ids=["run", "submit"]
)
@pytest.mark.parametrize(("number", "at_once"), [("2", 2), ("5", 3)])
def test_a_number_lowers_the_gpus(box: Box, words: tuple[str, ...], number: str, at_once: int) -> None:
    box.batchfile(_GPUS)
    assert box(*words, number, CUDA_VISIBLE_DEVICES="4,5,6").code == 0
    said = (box.folder / "log").read_text().split()
    assert max(itertools.accumulate(int(f"{sign}1") for sign in said)) == at_once
    gpus = [f"{rank} {gpu}\n" for rank, gpu in enumerate((4, 5, 6))][:at_once]
    assert {box.out(f"a/{x}/stdout") for x in range(6)} == set(gpus)


def test_a_worker_with_a_number_of_its_own_lowers_them_too(box: Box) -> None:
    runs = [{"cmd": f"echo $CUDA_VISIBLE_DEVICES; : {x}"} for x in range(4)]
    chunk = {"runs": runs, "remote_output_path": str(box.folder / "out"), "nprocs": "gpus"}
    box.write("chunk.json", json.dumps(chunk))
    assert box("batch", "chunk.json", "-n", "1", CUDA_VISIBLE_DEVICES="4,5").code == 0
    assert {box.out(f"{x}/stdout") for x in range(4)} == {"4\n"}


SLOW = (
    HEAD
    + """
[runs.a]
cmd = "echo {x} >> log; test {x} = 1 || sleep 60"
matrix = { x = [1, 2, 3, 4] }
grace = 5
"""
)


@pytest.mark.parametrize(
    ("program", "number", "name"),
    [
        ("pydoit-sc", signal.SIGINT, "SIGINT"),
        ("pydoit-sc", signal.SIGTERM, "SIGTERM"),
        ("pydoit-sc", signal.SIGHUP, "SIGHUP"),
        ("doit", signal.SIGINT, "SIGINT"),
    ],
)
def test_a_signal_ends_it_and_the_next_goes_on(
    stages: Box, program: str, number: signal.Signals, name: str
) -> None:
    stages.batchfile(SLOW)
    with stages.start(program=program) as process:
        until(lambda: (stages.folder / "out/a/1/status_code").exists() and len(_lines(stages)) == 3)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err == ""
    assert f"stopped by {name}: what was executing is incomplete" in out
    assert stages.tree() == [f"a/1/{file}" for file in ("run.json", "status_code", "stderr", "stdout")]
    stages.edit("|| sleep 60", "|| true      ")
    stages.executed()
    stages.ok("a:2", "a:3", "a:4")
    assert stages.executed() == ["2", "3", "4"]


MEMORY = '[batch]\nremote_output_path = "out"\nmin_free_memory = {}\n[[runs]]\ncmd = "echo >> log"\n'


@pytest.mark.parametrize("words", [("run",), ("batch", "batchfile.toml")])
def test_more_free_memory_than_the_machine_has_is_an_error(box: Box, words: tuple[str, ...]) -> None:
    box.batchfile(MEMORY.format('"900 TB"'))
    assert re.search(r"`min_free_memory` of at most .* machine, found 900 TB\n", box(*words).refused())


def test_a_signal_ends_the_waiting_for_memory(box: Box) -> None:
    box.batchfile(MEMORY.format(int(memory().total)))
    with box.start() as process:
        assert process.stdout is not None
        told = next((line for line in process.stdout if "waiting for memory" in line), "")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert re.search(r"waiting for memory: .* available, `min_free_memory` is ", told)
    assert (process.returncode, err) == (128 + signal.SIGTERM, "")
    assert not (box.folder / "log").exists()


def _lines(box: Box) -> list[str]:
    log = box.folder / "log"
    return log.read_text().split() if log.exists() else []


def test_killed_then_again(box: Box) -> None:
    box.batchfile(SLOW)
    with box.start() as process:
        until(lambda: (box.folder / "out/a/1/status_code").exists() and len(_lines(box)) == 3)
        process.kill()
        process.communicate(timeout=60)
    box.executed()
    box.edit("|| sleep 60", "|| sleep 0")
    box.ok("a:2", "a:3", "a:4")
    assert box.executed() == ["2", "3", "4"]
    attempts = box.folder / "out/.pydoit_sc/attempts"
    assert list(attempts.iterdir()) == []
