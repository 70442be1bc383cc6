"""An attempt's folder, environment and outcome."""

from __future__ import annotations

import json
import os
from hashlib import md5
from pathlib import Path

import pytest

from pydoit_sc.batch import Run, Settings
from pydoit_sc.git import Commit
from pydoit_sc.ledger import Work
from pydoit_sc.store import Finished, Record
from pydoit_sc.store.documents import Code, FileEntry, Provenance
from pydoit_sc.store.stamps import parse_record, parse_written, read
from pydoit_sc.worker import attempts, cgroup
from pydoit_sc.worker.attempts import TIMED_OUT, Attempt, Attempts, outer_environment
from pydoit_sc.worker.process import Exit
from pydoit_sc.worker.results import Limits, Result


def attempt_in(folder: Path, *retry_codes: int, known: Record | None = None, cmd: str = "true") -> Attempt:
    work = Work(
        "r:a",
        Run("a", cmd, "a", Settings(env={"A": "b"})),
        "/o/a",
        "1-0-0-0",
        known,
        axes={"x": 1, "y.z": "é\udcff"},
    )
    attempt = Attempt(work, "w-1", (3,), str(folder / "w-1"), 1_700_000_000.1234, 50.0, retry_codes)
    attempt.make_folders()
    Path(attempt.stdout).write_text("out")
    Path(attempt.stderr).write_text("x" * 5000 + "the end")
    return attempt


def conclude(attempt: Attempt, exit_: Exit, submission: str = "") -> tuple[Finished, Result]:
    made = Attempts("w", os.path.dirname(attempt.folder), Limits(4), submission)
    return made.conclude(attempt, exit_)


@pytest.mark.parametrize("submission", ["", "20260101-1"])
@pytest.mark.parametrize("cmd", ["true", "echo ü \udcff \n"])
def test_run_json_is_as_its_model_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, submission: str, cmd: str
) -> None:
    monkeypatch.setattr(attempts, "commit_of", lambda _: Commit("0" * 40, dirty=True))
    attempt = attempt_in(tmp_path, 3, 75, cmd=cmd)
    _, result = conclude(attempt, Exit(1, 0, 0.12345, 1 << 20, 51.5), submission)
    data = (tmp_path / "w-1" / "run.json").read_bytes()
    written = read(Provenance, data)
    assert written is not None
    assert list(json.loads(written.to_json()).items()) == list(json.loads(data).items())
    assert written.code == Code(commit="0" * 40, dirty=True)
    assert written.env is not None and list(written.env) == ["A"]
    assert written.axes == {"x": 1, "y.z": "é\udcff"}
    assert b'"b"' not in data  # its value may be a secret
    assert written.files == {
        "stdout": FileEntry(size=3, md5=md5(b"out").hexdigest()),
        "stderr": FileEntry(size=5007, md5=md5(b"x" * 5000 + b"the end").hexdigest()),
    }
    assert (written.seconds, written.retries, written.retry_codes) == (1.5, 2, [3, 75])
    assert result.record == parse_record(b"0", data) == parse_written(b"0", data)
    assert result.record[:4] == (0, "w-1", "1-0-0-0", submission)
    assert result.record.seconds == 1.5
    assert (tmp_path / "w-1" / "status_code").read_text() == "0"


def test_success_after_a_timeout_is_none(tmp_path: Path) -> None:
    attempt = attempt_in(tmp_path)
    attempt.timed_out = True
    assert attempt.code(Exit(1, 0, 0.0, 0, 51.0)) == TIMED_OUT
    assert attempt.code(Exit(1, 3, 0.0, 0, 51.0)) == 3


def test_what_it_replaces_is_what_was_known(tmp_path: Path) -> None:
    attempt = attempt_in(tmp_path, known=Record(1, "w-0"))
    finished, _ = conclude(attempt, Exit(1, 0, 0.0, 0, 51.0))
    assert (finished.key, finished.supersedes) == ("a", "w-0")


def test_of_what_a_link_leads_to_nothing_is_kept(tmp_path: Path) -> None:
    """The ends of a retried attempt go to the history, which others may read."""
    attempt = attempt_in(tmp_path)
    (tmp_path / "secret").write_text("secret")
    Path(attempt.stderr).unlink()
    Path(attempt.stderr).symlink_to(tmp_path / "secret")
    attempt.make_room()
    assert (Path(attempt.stdout).read_text(), Path(attempt.stderr).read_text()) == ("out", "")


def test_the_tail_of_stderr_is_short(tmp_path: Path) -> None:
    _, result = conclude(attempt_in(tmp_path), Exit(1, 3, 0.0, 0, 51.0))
    tail = result.stderr_tail
    assert tail
    assert tail.endswith(b"the end")
    assert len(tail) == 2000


def test_environments(tmp_path: Path) -> None:
    attempt = attempt_in(tmp_path)
    env = Attempts("w", str(tmp_path), Limits(4, gpus=["4", "5", "6", "7"])).environment(attempt).whole()
    assert (env["A"], env["SATURN_RUN_LOCAL_RANK"], env["CUDA_VISIBLE_DEVICES"]) == ("b", "3", "7")
    assert env["SATURN_RUN_REMOTE_OUTPUT_PATH"] == "/o/a"
    assert env["SATURN_RUN_LOCAL_RESULTS_DIR"] == f"{attempt.results}/"  # as `sc` has it
    assert os.path.isdir(env["SATURN_RUN_LOCAL_RESULTS_DIR"])


def test_what_is_said_to_the_worker_does_not_reach_its_runs() -> None:
    env = {
        "PATH": "/bin", "PYDOIT_SC_REQUEUE": "1", "PYDOIT_SC_FILE": "x.toml", "PYDOIT_SC_ATTEMPT": "outer-1",
        "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "16", "SLURM_CPUS_ON_NODE": "32",
    }  # fmt: skip
    assert outer_environment(env, alone=False) == {"PATH": "/bin", "SLURM_JOB_ID": "7"}
    assert outer_environment(env, alone=True).keys() == env.keys() - {
        "PYDOIT_SC_REQUEUE", "PYDOIT_SC_FILE", "PYDOIT_SC_ATTEMPT",
    }  # fmt: skip


def test_a_run_that_is_killed_tells_how_much_memory_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup, "memory", lambda: cgroup.Memory(16e9, 1e9))
    for code, peak, reason in (
        (137, 15_900_000_000, "killed by SIGKILL (peak 15.9 GB of 16 GB of memory)"),
        (137, 1 << 20, "killed by SIGKILL"),
        (139, 15_900_000_000, "killed by SIGSEGV"),
    ):
        attempt = attempt_in(tmp_path / f"{code}-{peak}")
        _, result = conclude(attempt, Exit(1, code, 0.1, peak, 51.5, code - 128))
        assert result.record is not None
        assert result.record.reason == reason


def test_a_variable_without_a_name_is_left_out() -> None:
    """posix_spawn refuses it; other programs can make one."""
    assert outer_environment({"": "x", "A": "1"}, alone=False) == {"A": "1"}
