"""The token is in nothing that a whole job leaves, says or starts: files, archives, logs, outputs, arguments."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from . import recipes
from .conftest import Cli
from .standin import Trick

pytestmark = pytest.mark.slow

BATCH = """\
[batch]
remote_output_path = "file://out"
nprocs = 2

[runs.a]
cmd = "ls code; cat /proc/[0-9]*/cmdline 2> gone; echo error >&2; exit {x}"
matrix = { x = [0, 1] }
timeout = "1m"

[saturn]
recipe = "job.yaml"
name = "weather"
sync = ["code"]
file_syncs_base_dir_url = "file://base"
commands_directory = "commands"
worker_install = "echo installed"
"""


def arguments() -> str:
    """Return the arguments of all processes."""
    found = []
    for process in filter(str.isdecimal, os.listdir("/proc")):
        try:
            found.append(Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def watched(process: subprocess.Popen[str]) -> str:
    """Return what a program writes, and the arguments of all processes while it runs."""
    seen = []
    while process.poll() is None:
        seen.append(arguments())
    out, err = process.communicate()
    return "\n".join([out, err, *seen])


def test_a_canary_token_is_in_none_of_it(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    recipes.write(recipes.job("j", working_directory=str(tmp_path / "machine")), tmp_path / "job.yaml")
    cli.write("batchfile.toml", BATCH)
    cli.write("code/work.py", "print(1)")
    commands = (
        ("submit", "--wait"),
        ("run", "apply"),
        ("get", "job", "weather", "-o", "json"),
        ("get", "job", "weather"),
        ("job-logs", "weather", "--all"),
        ("summarize-batch", "--format", "json"),
        ("stop", "job", "no-such-job"),
    )
    said = [watched(cli.start(*words)) for words in commands]
    cli.standin.tricks = [Trick("orgs|user|recipes", 400, cli.standin.token.encode() + b" is your token")]
    said.append(watched(cli.start("apply", "job.yaml", PYTHONDEVMODE="1")))
    assert "pydoit-sc\0batch\0" in "".join(said)
    assert (tmp_path / "out/a/0/stdout").read_text().count("pydoit-sc\0batch\0")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert names >= {"0.json", "recipe.yaml", "status_code", "run.json", "stdout", ".pydoit_sc.json"}
    said += [job.log() for job in cli.standin.jobs.values()]
    assert any("installed" in text for text in said)
    secrets = (cli.standin.token, cli.standin.refresh_token)
    for text in said:
        assert not any(secret in text for secret in secrets)
    for path in files:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.name.endswith(".gz") else data
        assert not any(secret.encode() in data for secret in secrets), path
