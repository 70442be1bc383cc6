"""The program: pipes, closed streams and signals around any command."""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import suppress

import pytest

from tests.conftest import HEAD, NOT_UTF8, Box, until

MANY = HEAD + '[runs.a]\ncmd = "echo {x}"\nmatrix = { x = { range = [0, 8000] } }\n'


@pytest.mark.parametrize("command", ["list --all", "summarize-batch --format csv", "help", "clean a"])
def test_head(box: Box, command: str) -> None:
    box.batchfile(MANY)
    for x in range(8000 if command == "clean a" else 0):
        box.write(f"out/a/{x}/status_code", "0")
    done = box.shell(f"pydoit-sc {command} | head -1; exit ${{PIPESTATUS[0]}}")
    assert len(done.out.splitlines()) == 1
    assert done.err in ("", "8,000 incomplete\n")
    assert done.code == 0 if command == "clean a" else done.code in (0, 128 + signal.SIGPIPE)


def test_only_the_reader_of_its_output_ends_a_command_that_shows_something(stages: Box) -> None:
    lines = (
        "import signal, socket",
        "from pydoit_sc.cli import main",
        "main(['status'])",
        "here, there = socket.socketpair()",
        "there.close()",
        "try: here.send(b'x')",
        "except BrokenPipeError: print('a server has gone')",
        "here.close()",
    )
    stages.write("shows.py", "\n".join(lines))
    done = stages.shell("python shows.py")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("a server has gone\n")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(stages: Box, closed: str) -> None:
    done = stages.shell(f"pydoit-sc {closed} && pydoit-sc list {closed}")
    assert (done.code, done.err) == (0, "")
    assert stages.executed() == ["a:1", "a:2", "a:3", "b"]
    assert stages.out("a/2/stdout") == "1"


#: Commands that need no other machine, and their exit code for `TORN` below.
COMMANDS = {
    "": 1,
    "-h": 0,
    "--version": 0,
    "--nope": 3,
    "plan --all": 0,
    "plan a:nope": 3,
    "plan --status error": 0,
    "status": 0,
    "status --json": 0,
    "list --all --status": 0,
    "info a:1": 1,
    "summarize-batch": 0,
    "summarize-batch --format json": 0,
    "summarize-batch --format csv": 0,
    "results": 0,
    "results --format json": 0,
    "fetch --to there": 0,
    "failures": 0,
    "failures --group 1 --where x=2": 0,
    "report": 0,
    "logs a:2": 0,
    "history a:2": 0,
    "debug a:2": 1,
    "reproduce a:2": 3,
    "verify": 0,
    "clean b": 0,
    "forget a:2": 0,
    "ignore a:1": 0,
    "split": 3,
    "submissions": 0,
    "cancel": 0,
    "cancel a:1": 0,
    "scale 4": 0,
    "pause": 0,
    "resume": 0,
    "submit": 3,
    "init new": 0,
    "schema": 0,
    "tabcompletion bash": 0,
    "help run": 0,
    "batch nope.json": 3,
}

#: What is wrong with the standard streams.
STREAMS = {
    "no reader": "| true",
    "no reader of both": "|& true",
    "full": "> /dev/full",
    "full, both": "> /dev/full 2>&1",
    "closed": ">&-",
    "errors closed": "2>&-",
    "input closed": "<&-",
    "all closed": "<&- >&- 2>&-",
    "for reading": "1< /dev/null",
    "slow reader": "| (sleep 0.1; cat > /dev/null)",
}

#: A batch with runs of which one fails, names and values that no encoding but UTF-8 has, and a byte that is no UTF-8.
TORN = (
    HEAD
    + r"""
[runs.a]
cmd = 'printf "\351\033]52;c;x\007 é"; printf "\377" >&2; test {x} != 2 # 日本'
matrix = { x = [1, 2, 3] }
[runs.b]
cmd = "cat {path}"
name = "日-{x}-{path.stem}"
matrix = { x = [1], path = { glob = "data/*" } }
"""
)


def _check_streams(box: Box, command: str, streams: str, **env: str) -> None:
    box.batchfile(TORN)
    box.write(os.fsdecode(b"data/caf\xe9"), "x")
    if command.startswith(("failures", "logs", "history", "verify", "clean", "forget", "summarize")):
        box()
    env["TMPDIR"] = str(box.folder)  # of `debug`
    done = box.shell(f"pydoit-sc {command} {STREAMS[streams]}; exit ${{PIPESTATUS[0]}}", **env)
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err
    assert "Error" not in done.err
    usual = {COMMANDS[command]}
    if streams.startswith("no reader"):
        usual.add(128 + signal.SIGPIPE)
    if streams.startswith(("full", "for reading")) and COMMANDS[command] == 0:
        usual.add(2)
    assert done.code in usual, done
    if command == "":
        assert box.out("a/2/status_code") == "1"
        assert box.out(r"b/日-1-caf\xe9/stdout") == "x"


_ENCODINGS = [{}, {"PYTHONIOENCODING": "ascii"}, NOT_UTF8, {"LC_ALL": "C"}]


@pytest.mark.parametrize(
    ("number", "command"),
    # Each third one, so that all streams and encodings are met; the others, too, in the slow stage.
    [pytest.param(*case, marks=pytest.mark.slow if case[0] % 3 else ()) for case in enumerate(COMMANDS)],
)
def test_odd_streams(box: Box, number: int, command: str) -> None:
    streams = list(STREAMS)[number % len(STREAMS)]
    _check_streams(box, command, streams, **_ENCODINGS[number % len(_ENCODINGS)])


@pytest.mark.slow
@pytest.mark.skipif("PYDOIT_SC_NIGHTLY" not in os.environ, reason="takes some minutes: PYDOIT_SC_NIGHTLY=1")
@pytest.mark.parametrize(
    ("number", "command", "streams"),
    [(number, *case) for number, case in enumerate(itertools.product(COMMANDS, STREAMS))],
)
def test_all_odd_streams(box: Box, number: int, command: str, streams: str) -> None:
    _check_streams(box, command, streams, **_ENCODINGS[number % len(_ENCODINGS)])


def test_a_command_that_shows_something_fails_where_nobody_gets_it(stages: Box) -> None:
    done = stages.shell("pydoit-sc plan > /dev/full")
    assert (done.code, done.err) == (2, "the output cannot be written: No space left on device\n")


@pytest.mark.parametrize(("command", "code"), [("run", 0), ("run --json", 2), ("verify --js", 2)])
def test_json_that_nobody_gets_is_no_answer(stages: Box, command: str, code: int) -> None:
    done = stages.shell(f"pydoit-sc {command} > /dev/full")
    assert (done.code, "the output cannot be written: No space left on device\n" in done.err) == (code, True)


@pytest.mark.parametrize("program", ["pydoit-sc", "doit"])
def test_interrupted_while_planning(stages: Box, program: str) -> None:
    batchfile = stages.folder / "batchfile.toml"
    batchfile.unlink()
    os.mkfifo(batchfile)
    ends: list[int] = []

    def is_read() -> bool:
        with suppress(OSError):  # nobody has opened it to read
            ends.append(os.open(batchfile, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    with stages.start(program=program) as process:
        until(is_read)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    os.close(ends[0])
    assert "Traceback" not in err
    assert out == ""
    assert process.returncode in (128 + signal.SIGINT, -signal.SIGINT)


@pytest.mark.parametrize("module", ["doit", "pydoit_sc.tasks.program", "pydoit_sc.commands.status"])
def test_interrupted_while_it_imports(stages: Box, module: str) -> None:
    lines = (
        "import os, signal, sys",
        "class Interrupted:",
        "    def find_spec(name, path, target=None):",
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)",
        "sys.meta_path.insert(0, Interrupted)",
    )
    stages.write("started/sitecustomize.py", "\n".join(lines))
    done = stages("status", PYTHONPATH=str(stages.folder / "started"))
    assert (done.code, done.out, done.err) == (-signal.SIGINT, "", "")
