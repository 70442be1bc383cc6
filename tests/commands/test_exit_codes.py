"""Exit codes of every command: 0 done, 1 runs failed, 2 something could not be executed, 3 nothing was started."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.cli import main
from tests.conftest import HEAD, Box, until
from tests.test_selection import outcome

_BAD = '[runs.b]\ncmd = "true"\nfile_dep = ["nope"]\n'
_RUNS = '[runs.a]\ncmd = "test {x} != 2"\nmatrix = { x = [1, 2, 3] }\n'


def fresh(box: Box) -> None:
    """A batch of three runs, of which the second fails."""
    box.batchfile(HEAD + _RUNS)


def failed(box: Box) -> None:
    """All of them have ended."""
    fresh(box)
    for x, code in ((1, 0), (2, 1), (3, 0)):
        outcome(box, f"a/{x}", code)


def completed(box: Box) -> None:
    """All of them are completed."""
    fresh(box)
    for x in (1, 2, 3):
        outcome(box, f"a/{x}", 0)


def impossible(box: Box) -> None:
    """One run cannot be started."""
    box.batchfile(HEAD + _RUNS.replace("!=", "-gt") + _BAD)


def taken(box: Box) -> None:
    """Something that is no run's output lies in the place of one run."""
    completed(box)
    shutil.rmtree(box.folder / "out/a/2")
    box.write("out/a/2/mine", "")


def torn(box: Box) -> None:
    """A run has written results that cannot be read, and has changed since."""
    box.batchfile(HEAD + '[runs.a]\ncmd = "echo { > $SATURN_RUN_LOCAL_RESULTS_DIR/loss.json"\n')
    box.ok("--quiet")
    box.write("out/a/stdout", "changed")


def unwritable(box: Box) -> None:
    """Nobody can write to the store."""
    box.batchfile(HEAD.replace("file://out", "file:///proc/out") + _RUNS)


def nothing(box: Box) -> None:
    """There is no batchfile."""


def broken(box: Box) -> None:
    """The batchfile has a mistake."""
    box.batchfile(HEAD + _RUNS.replace("cmd", "cmdd"))


#: What is done in which situation, by the exit code that it has.
CODES: dict[int, list[tuple[Callable[[Box], None], str]]] = {
    0: [
        *((completed, command) for command in ("", "run a", "plan --check", "info a:1", "submit --engine local --wait")),
        *((failed, command) for command in ("plan", "status", "list", "summarize-batch", "failures", "results")),
        *((failed, command) for command in ("logs a:2", "history a:2", "verify", "submissions", "cancel", "report", "fetch a:2 --to x")),
        *((failed, command) for command in ("clean a:2", "forget a:2", "ignore a:2", "accept a:2", "run a:1")),
        *((fresh, command) for command in ("status", "results", "failures", "split --help", "scale 4", "pause", "resume")),
        *((nothing, command) for command in ("help", "--version", "help run", "schema", "tabcompletion bash", "init new")),
        # Nothing matches: that is the answer.
        *((completed, f"{command} --status error") for command in ("run", "plan", "status", "list", "failures", "logs")),
        *((completed, f"{command} --status error") for command in ("clean", "forget", "ignore", "accept", "submit", "report")),
    ],
    1: [
        *((fresh, command) for command in ("", "run", "run a:2", "a:2", "run --json", "submit --engine local --wait")),
        *((failed, command) for command in ("run", "plan --check", "info a:2", "run --max-failures 1", "run -q")),
        (torn, "verify"),
    ],
    2: [
        *((impossible, command) for command in ("run", "run b", "run --json")),
        *((taken, command) for command in ("clean a", "forget a", "run a")),
        (torn, "results"),
        (torn, "fetch a --to x"),
        (unwritable, "run"),
    ],
    3: [
        *((nothing, command) for command in ("", "run", "plan", "status", "list", "failures", "results", "report", "verify")),
        *((broken, command) for command in ("", "run", "plan", "status", "list", "failures", "results", "report", "verify")),
        *((nothing, command) for command in ("cancel", "submit", "pause", "summarize-batch", "batch", "batch nope.json")),
        *((broken, command) for command in ("cancel", "submit", "pause", "summarize-batch", "clean a", "logs a", "debug a:1")),
        *((failed, f"{command} a:nope") for command in ("run", "plan", "status", "list", "info", "failures", "results")),
        *((failed, f"{command} a:nope") for command in ("logs", "history", "debug", "reproduce", "verify", "clean")),
        *((failed, f"{command} a:nope") for command in ("forget", "accept", "ignore", "submit", "cancel", "pause", "report")),
        *((failed, command) for command in ("logs", "debug", "reproduce", "clean", "forget", "accept", "ignore", "info", "fetch")),
        *((failed, command) for command in ("submit", "split", "apply", "clone", "get", "start", "stop", "job-logs")),
        *((fresh, command) for command in ("logs a:1", "reproduce a:1", "scale 0", "run -n 0", "run --timeout soon", "init")),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "situation", "line"),
    [(code, *case) for code, cases in CODES.items() for case in cases],
    ids=lambda value: getattr(value, "__name__", None) or str(value),
)
def test_exit_codes(  # noqa: PLR0917
    box: Box,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
    situation: Callable[[Box], None],
    line: str,
) -> None:
    situation(box)
    monkeypatch.chdir(box.folder)
    monkeypatch.setenv("TMPDIR", str(box.folder))
    for name in ("PYDOIT_SC_FILE", "SATURN_BASE_URL", "SATURN_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    found = main(line.split())
    said = capsys.readouterr()
    assert found == code, said
    assert "Traceback" not in said.err
    assert (code != 3) or said.err.startswith("ERROR: ") or ": " in said.err, said


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_starts_nothing(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--nope"]) == 3
    assert capsys.readouterr().err.startswith("ERROR: option --nope not recognized; ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_told_by_the_code(box: Box, number: int) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "touch started; while :; do :; done"\n')
    with box.start() as process:
        until((box.folder / "started").exists)
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 128 + number


def test_a_worker_has_done_its_work_whatever_the_codes_of_its_runs(box: Box, tmp_path: Path) -> None:
    chunk = '{"runs": [{"cmd": "exit 7", "remote_output_path": "%s/out/0"}], "remote_output_path": "%s/out", "nprocs": 1}'
    box.write("chunk.json", chunk % (box.folder, box.folder))
    assert box("batch", "chunk.json", "--strict").code == 1
    assert box("batch", "chunk.json").code == 0
