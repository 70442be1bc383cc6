"""`logs`: the bytes that a run has written, or writes."""

from __future__ import annotations

from tests.conftest import HEAD, Box, until


def test_logs_are_the_bytes(box: Box) -> None:
    box.batchfile(HEAD + "[runs.a]\ncmd = '''printf '\\377\\000é\\r\\n'; printf 'no\\376' >&2'''\n")
    assert "no output" in box("logs", "a").refused()
    box.ok()
    both = box("logs", "a")
    assert (both.code, both.out.encode(errors="surrogateescape"), both.err) == (
        0,
        b"\xff\0\xc3\xa9\r\n".replace(b"\r\n", b"\n"),  # text mode of this test
        "no\udcfe",
    )
    assert box("logs", "a", "--stdout").err == ""
    only = box("logs", "--stderr", "a")
    assert (only.out, only.err) == ("", "no\udcfe")
    assert "is 3 runs" in _three(box)("logs", "a").refused()


def _three(box: Box) -> Box:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true {x}"\nmatrix = { x = [1, 2, 3] }\n')
    return box


def test_logs_follow_a_run_until_it_ends(box: Box) -> None:
    box.batchfile(
        HEAD + '[runs.a]\ncmd = "echo begin; while [ ! -e go ]; do sleep 0.02; done; echo end; echo no >&2"\n'
    )
    with box.start() as worker:
        until(lambda: "running" in box("summarize-batch", "--status", "running").out.split())
        with box.start("logs", "--follow", "a") as logs:
            assert logs.stdout is not None
            assert logs.stdout.readline() == "begin\n"
            box.write("go", "")
            out, err = logs.communicate(timeout=60)
        worker.communicate(timeout=60)
    assert (logs.returncode, out, err) == (0, "end\n", "no\n")
    assert worker.returncode == 0
    assert box("logs", "--follow", "a").out == "begin\nend\n"  # it has ended: as without
