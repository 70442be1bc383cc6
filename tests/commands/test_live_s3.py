"""What executes on an object store: seen from elsewhere while it does, and its attempts afterwards."""

from __future__ import annotations

import json
import uuid
from typing import Any

import botocore.session
import pytest

from pydoit_sc.commands.history import HistoryCommand
from pydoit_sc.commands.logs import LogsCommand
from pydoit_sc.commands.report import ReportCommand
from pydoit_sc.commands.watch import _look
from pydoit_sc.outcomes.output import LiveOutput
from pydoit_sc.project import Project
from pydoit_sc.store.cloud import CloudBlobs
from tests.conftest import Box, until
from tests.s3 import KEYS

CMD = """\
echo attempt {x}
case {x} in
  0) [ -e tried ] || { touch tried; exit 75; } ;;
  1) while [ ! -e go ]; do sleep 0.1; done; echo end ;;
esac
"""


@pytest.fixture
def bucket(s3: str, box: Box, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A batch of 200 runs, of which one is retried and one waits for a file."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
        box.env[name] = value
    client = botocore.session.get_session().create_client("s3")
    name = f"live-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    cmd = CMD.replace("{ ", "{{ ").replace("; }", "; }}")
    box.batchfile(
        f'[batch]\nremote_output_path = "s3://{name}/out"\nnprocs = 2\n'
        f"[runs.a]\ncmd = {json.dumps(cmd)}\nretries = 1\nmatrix = {{ x = {{ range = [0, 200] }} }}\n"
    )
    return client


@pytest.mark.slow  # the server, and a worker that looks every 5 s
def test_seen_from_elsewhere(
    bucket: Any, box: Box, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    batchfile = str(box.folder / "batchfile.toml")
    monkeypatch.setattr(LiveOutput, "_open", lambda self, name: None)
    counted: list[str] = []
    for name in ("list", "get", "read", "tail"):
        _count(monkeypatch, name, counted)
    with box.start("run") as worker:
        project = Project.load(batchfile)
        until(lambda: "a/1" in project.store.running())
        until(lambda: len(project.store.scan(["a/9", "a/199"])) == 2)
        counted.clear()
        view = _look(project, None)
        assert len(counted) < 20  # of 200 runs
        ((name, live),) = view.running
        assert (name, live.rank in (0, 1)) == ("a:1", True)
        assert LogsCommand(config={}).parse_execute(["-f", batchfile, "a:1"]) == 0
        assert capfdbinary.readouterr().out == b"attempt 1\n"
        box.write("go", "")
        assert LogsCommand(config={}).parse_execute(["-f", batchfile, "--follow", "a:1"]) == 0
        assert capfdbinary.readouterr().out == b"attempt 1\nend\n"
        worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert HistoryCommand(config={}).parse_execute(["-f", batchfile, "--format", "json", "a:0"]) == 0
    found = json.loads(capfdbinary.readouterr().out)
    assert [(row["attempt"], row["status_code"]) for row in found] == [(1, 75), (2, 0)]
    assert LogsCommand(config={}).parse_execute(["-f", batchfile, "--attempt", "1", "a:0"]) == 0
    assert capfdbinary.readouterr().out == b"attempt 0\n"
    counted.clear()
    page = str(box.folder / "page.html")
    assert ReportCommand(config={}).parse_execute(["-f", batchfile, "--to", page]) == 0
    assert len(counted) < 20  # of 200 runs


def _count(monkeypatch: pytest.MonkeyPatch, name: str, counted: list[str]) -> None:
    real = getattr(CloudBlobs, name)

    def call(self: CloudBlobs, path: str, *more: Any) -> Any:
        counted.append(f"{name} {path}")
        return real(self, path, *more)

    monkeypatch.setattr(CloudBlobs, name, call)
