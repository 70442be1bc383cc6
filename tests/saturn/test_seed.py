"""The seed's page from its first command to its last, with `pydoit-sc` in place of `sc`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pydoit_sc.saturn import recipe as recipe_files

from . import recipes
from .conftest import Cli

pytestmark = pytest.mark.slow

OWNER = ("--owner", "test/hugo")

#: Exits with 3 for the numbers that the file `broken` lists.
WORK = """\
import os, sys
number = sys.argv[1]
open(os.environ["SATURN_RUN_LOCAL_RESULTS_DIR"] + "/rank", "w").write(os.environ["SATURN_RUN_LOCAL_RANK"])
open(sys.argv[2], "a").write(number + "\\n")
print("ran", number)
sys.exit(3 if number in open(sys.argv[3]).read().split() else 0)
"""


class Page:
    """The page's files: a workspace with code, a list of runs, and the folder that all machines share."""

    def __init__(self, cli: Cli, tmp_path: Path) -> None:
        self.cli, self.root = cli, tmp_path
        self.code = tmp_path / "workspace" / "sctest"
        self.shared = tmp_path / "shared"
        self.local, self.remote = tmp_path / "commands", tmp_path / "machine" / "commands"
        self.shared.mkdir()
        cli.write("workspace/sctest/test.py", WORK)
        cli.write("broken", "4 9 17")
        machine = tmp_path / "machine"
        machine.mkdir()
        workspace = recipes.workspace("my-workspace", working_directory=str(machine))
        cli.standin.add(workspace)
        runs = [
            f"python '{self.code}/test.py' {n} '{tmp_path}/log' '{tmp_path}/broken'" for n in range(1, 21)
        ]
        cli.write("jobs.yaml", "runs:\n" + "".join(f'- cmd: "{cmd}"\n' for cmd in runs))

    def split(self, *more: str) -> str:
        """Split as the page does, but for folders that a test may write to."""
        return self.cli(
            "split", "recipe.yaml", "jobs.yaml", "--nprocs", "8", "--scale", "2",
            "--remote-output-path", f"file://{self.shared}/run-output/",
            "--sync", f"{self.code}/",
            "--file-syncs-base-dir-url", f"file://{self.shared}/sctest-base-dir",
            "--local-commands-directory", str(self.local),
            "--remote-commands-directory", str(self.remote),
            *more,
        )[0]  # fmt: skip

    def apply(self) -> str:
        """Apply and start, wait for the end, and return the machines' log."""
        out, _ = self.cli("apply", str(self.local / "recipe.yaml"), "--start")
        assert out == "Applied job my-job for test/hugo from recipe\nStarted job my-job for test/hugo\n"
        return self.cli.standin.wait("my-job").log()

    def statuses(self) -> list[str]:
        """Return the first column of the summary."""
        remote = ("--remote-output-path", f"file://{self.shared}/run-output/")
        out, _ = self.cli("summarize-batch", "jobs.yaml", *remote)
        assert re.split(r" {2,}", out.splitlines()[0]) == [
            "status",
            "status_code",
            "remote_output_path",
            "cmd",
        ]
        return [line.split()[0] for line in out.splitlines()[2:]]

    def executed(self) -> list[int]:
        """Return the numbers of the runs that have been executed since the last call."""
        log = self.root / "log"
        found = sorted(map(int, log.read_text().split()))
        log.unlink()
        return found

    def commands(self) -> list[str]:
        """Return the commands of the recipe that was written."""
        return list(recipe_files.read(self.local / "recipe.yaml")["spec"]["command"])


@pytest.fixture
def page(cli: Cli, tmp_path: Path) -> Page:
    return Page(cli, tmp_path)


def test_the_page(page: Page, cli: Cli) -> None:
    # Step 2: the recipe
    cli("clone", "workspace", "my-workspace", "job", "my-job", "--command", "...", *OWNER)
    text, _ = cli("get", "job", "my-job", *OWNER)
    cli.write("recipe.yaml", text)
    assert recipe_files.loads(text)["spec"]["command"] == "..."

    # Step 3: split
    page.split()
    assert page.commands() == [f"pydoit-sc batch {page.remote}/{n}.json" for n in range(1)]
    chunk = json.loads((page.local / "0.json").read_text())
    assert set(chunk) == {"runs", "remote_output_path", "nprocs", "pydoit_sc"}
    assert set(chunk["runs"][0]) == {
        "remote_output_path", "cmd", "local_results_dir", "status_code", "status"
    }  # fmt: skip
    page.split("--batch-size", "8")
    assert len(page.commands()) == 3

    # Steps 4 and 5: execute and inspect
    page.apply()
    assert page.executed() == list(range(1, 21))
    assert page.statuses() == ["error"] * 3 + ["completed"] * 17
    output = page.shared / "run-output" / "3"  # of the 4th run
    assert (output / "stdout").read_text() == "ran 4\n"
    assert (output / "status_code").read_text() == "3"
    assert int((output / "results" / "rank").read_text()) in range(8)

    # Failures: submitted again without what is completed
    out = page.split("--skip-completed")
    assert "including 0 incomplete runs\nincluding 3 failed runs\nskipping 17 completed runs\n" in out
    assert sorted(path.name for path in page.local.iterdir()) == ["0.json", "recipe.yaml"]
    cli.write("broken", "9")
    page.apply()
    assert page.executed() == [4, 9, 17]
    assert page.statuses() == ["error"] + ["completed"] * 19

    out = page.split("--skip-completed", "--skip-failures")
    assert page.commands() == []
    out, _ = cli("apply", str(page.local / "recipe.yaml"), "--start")
    assert out.splitlines()[1] == "not started: there is nothing to execute"

    # By default all work is scheduled, completed runs too
    cli.write("broken", "")
    page.split()
    page.apply()
    assert page.executed() == list(range(1, 21))
    assert page.statuses() == ["completed"] * 20


def test_a_worker_that_starts_again_executes_what_its_submission_lacks(page: Page, cli: Cli) -> None:
    cli("clone", "workspace", "my-workspace", "job", "my-job", "--command", "...")
    cli.write("recipe.yaml", cli("get", "job", "my-job")[0])
    page.split()
    page.apply()
    page.executed()
    cli("start", "job", "my-job")
    cli.standin.wait("my-job")
    assert page.executed() == [4, 9, 17]


def test_a_job_keeps_its_chunks_when_its_batch_is_split_again(page: Page, cli: Cli) -> None:
    cli("clone", "workspace", "my-workspace", "job", "my-job", "--command", "...")
    cli.write("recipe.yaml", cli("get", "job", "my-job")[0])
    page.split("--batch-size", "5")
    cli("apply", str(page.local / "recipe.yaml"))
    page.split("--max-jobs", "1")  # before the job's machines have fetched anything
    cli("start", "job", "my-job")
    cli.standin.wait("my-job")
    assert page.executed() == list(range(1, 21))


def test_looking_at_a_job_and_ending_it(cli: Cli, tmp_path: Path) -> None:
    cli.standin.add(recipes.job(command="echo begun; sleep 60", working_directory=str(tmp_path)))
    assert "was it started?" in cli.refused("job-logs", "my-job")
    assert cli("start", "job", "my-job", *OWNER, "--debug")[0] == "Started job my-job for test/hugo\n"
    assert cli.standin.requests[-1].body == {"debug_mode": True}
    assert "409" in cli.refused("start", "job", "my-job")
    table = cli("get", "job", "my-job", "-o", "table")[0].splitlines()
    assert table[2].split()[:4] == ["test/hugo", "my-job", "job", "running"]
    assert cli("stop", "job", "my-job")[0] == "Stopped job my-job\n"
    out, _ = cli("job-logs", "my-job", "--all")
    machine = out.split()[0]
    assert machine.startswith("my-job-")
    assert cli("job-logs", "my-job", machine)[0] == out
    assert f"it has `{machine}`" in cli.refused("job-logs", "my-job", "other")
