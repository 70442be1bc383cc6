"""What an attempt writes, from the moment that it is known to execute."""

from __future__ import annotations

from pathlib import Path

from pydoit_sc.outcomes.output import LiveOutput
from pydoit_sc.store import Live
from pydoit_sc.store.layout import STDERR, STDOUT
from pydoit_sc.store.posix import PosixStore


def test_an_attempt_is_read_that_has_not_made_its_files_when_it_is_seen(tmp_path: Path) -> None:
    """A process makes them itself, which the worker does not wait for."""
    attempt = tmp_path / "out/.pydoit_sc/attempts/w/w-1"
    attempt.mkdir(parents=True)
    output = LiveOutput(
        PosixStore(str(tmp_path / "out")), "a/1", Live(host="", folder=str(attempt), since=0.0)
    )
    assert not output.is_here
    assert [*output.new(STDOUT)] == []
    (attempt / STDOUT).write_text("begin\n")
    assert [*output.new(STDOUT)] == []  # both or none
    (attempt / STDERR).write_text("no\n")
    assert [[*output.new(name)] for name in (STDOUT, STDERR)] == [[b"begin\n"], [b"no\n"]]
    assert output.is_here
    with open(attempt / STDOUT, "a") as file:
        file.write("end\n")
    assert [*output.rest(STDOUT, None)] == [b"end\n"]
    output.close()


def test_a_link_in_an_attempt_leads_nowhere_else(tmp_path: Path) -> None:
    """Anybody may say that a run executes in a folder of his own."""
    attempt = tmp_path / "planted/w-1"
    attempt.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    for name in (STDOUT, STDERR):
        (attempt / name).symlink_to(tmp_path / "secret")
    store = PosixStore(str(tmp_path / "out"))
    output = LiveOutput(store, "a/1", Live(host="", folder=str(attempt), since=0.0))
    assert not output.is_here and not output.is_known
