"""Random histories of plans, executions, kills, edits and clock jumps on an object store, against a model of the promise.

The model is small: which version of each run's command was published last, with which code. What is real: the decisions
of the plan, the store, its leases. Requests fail, are lost, or are the last of their worker.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pydoit_sc.fingerprint import NOTHING, digest_text
from pydoit_sc.store import Finished, HeldError, Outcome, Staged, StoreError, leases
from pydoit_sc.store.documents import Provenance
from pydoit_sc.store.manifest import fault
from pydoit_sc.store.objects import ObjectStore
from pydoit_sc.verdicts import judge
from tests.store.memory_blobs import Bucket, MemoryBlobs

pytestmark = pytest.mark.slow

NIGHTLY = bool(os.environ.get("PYDOIT_SC_NIGHTLY"))
KEYS = ("a/1", "a/2", "b")


class Killed(BaseException):
    """The worker ends here; nothing of it is cleaned up."""


FAULTS = st.sampled_from(["killed", "refused", "reply lost"])


class Histories(RuleBasedStateMachine):
    """What a user, workers, machines and the network do."""

    @initialize()
    def begin(self) -> None:
        self.bucket, self.now, self.workers = Bucket(), 0.0, 0
        self.folder = TemporaryDirectory()
        self.versions = dict.fromkeys(KEYS, 1)
        self.codes = dict.fromkeys(KEYS, 0)
        self.published: dict[
            str, tuple[int, int]
        ] = {}  # version and code of what a worker was told is published
        self.unsure: set[str] = set()  # runs whose worker was not told what became of its attempt
        self.patches: list[Any] = [
            patch.object(leases, "_now", lambda: self.now),
            patch.object(leases, "_is_here", lambda _said: None),
            patch.object(leases.Leases, "_keep_renewing", lambda _self, end: end.wait()),
            patch.object(time, "sleep", self.let_pass),
        ]
        for one in self.patches:
            one.start()

    def teardown(self) -> None:
        for one in getattr(self, "patches", []):
            one.stop()
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def let_pass(self, seconds: float) -> None:
        self.now += seconds
        self.bucket.clock += seconds

    @rule(key=st.sampled_from(KEYS))
    def edit(self, key: str) -> None:
        self.versions[key] += 1

    @rule(key=st.sampled_from(KEYS), code=st.sampled_from([0, 0, 1, 137]))
    def come_to_end_with(self, key: str, code: int) -> None:
        self.codes[key] = code

    @rule(seconds=st.floats(0, 300))
    def wait(self, seconds: float) -> None:
        self.let_pass(seconds)

    @rule(seconds=st.floats(-1000, 1000))
    def jump_of_the_stores_clock(self, seconds: float) -> None:
        self.bucket.clock += seconds

    @rule(key=st.sampled_from(KEYS))
    def forget(self, key: str) -> None:
        before = dict(self.bucket.objects)
        try:
            ObjectStore("memory", MemoryBlobs(self.bucket)).forget(key)
        except (
            HeldError
        ):  # the store's clock was set back, so that a dead worker seems to be alive for longer
            after = self.bucket.objects
            assert {path: after[path] for path in before if path[0] != "."}.items() <= before.items()
            return
        self.published.pop(key, None)
        self.unsure.discard(key)

    @rule(kind=FAULTS, at=st.one_of(st.integers(1, 12), st.integers(1, 40)))
    def work_with_a_fault(self, kind: str, at: int) -> None:
        self.work(kind, at)

    @rule(key=st.sampled_from(KEYS), kind=FAULTS, at=st.integers(1, 16))
    def replace_with_a_fault(self, key: str, kind: str, at: int) -> None:
        self.edit(key)
        self.work(kind, at)

    def work(self, kind: str, at: int) -> None:
        """Plan, and execute what the plan says, with a fault at one of the requests that write."""
        self.workers += 1
        name, blobs = f"{self.workers:x}b", MemoryBlobs(self.bucket)
        count, dead = 0, False

        def before(verb: str, path: str) -> None:
            nonlocal count, dead
            count += verb not in ("list", "get") and not path.startswith(".pydoit_sc/leases")
            if dead or (count == at and kind == "killed"):
                dead = True
                raise Killed
            if count == at and kind == "refused":
                raise OSError("refused")

        def after(_verb: str, _path: str) -> None:
            if count == at and kind == "reply lost":
                raise OSError("reset")

        blobs.before, blobs.after = before, after
        store = ObjectStore("memory", blobs)
        try:
            records = store.scan(KEYS)
            with store.workspace(name, self.folder.name):
                for n, key in enumerate(KEYS):
                    verdict = judge(self.fingerprint(key), records.get(key))
                    if verdict.execute:
                        self.execute(
                            store, key, f"{name}-{n}", records[key].attempt if key in records else None
                        )
                    else:
                        assert key in self.unsure or self.published[key] == (self.versions[key], 0)
                store.settle()
        except (Killed, StoreError):
            pass

    def execute(self, store: ObjectStore, key: str, attempt: str, supersedes: str | None) -> None:
        version, code = self.versions[key], self.codes[key]
        # A completed run is not executed again, unless it has been edited or forgotten.
        assert key in self.unsure or self.published.get(key) != (version, 0)
        known = self.published.pop(key, None)
        self.unsure.add(key)
        folder = Path(self.folder.name, f"{attempt} {time.monotonic_ns()}")
        (folder / "results").mkdir(parents=True)
        for file in ("stdout", "stderr", f"results/{attempt}"):
            (folder / file).write_text(f"{key} {version} {attempt}\n")
        (folder / "status_code").write_text(str(code))
        provenance = Provenance(
            cmd="c",
            fingerprint=self.fingerprint(key),
            attempt=attempt,
            status_code=code,
            host="h",
            rank=0,
            started=1.0,
            finished=2.0,
            cpu_seconds=0.0,
            peak_memory=0,
        )
        (folder / "run.json").write_bytes(provenance.to_json())
        staged = store.stage([Finished(key, attempt, str(folder), supersedes)])[0]
        if isinstance(staged, StoreError):
            raise staged
        assert isinstance(staged, Staged)
        # Nobody else works meanwhile, so what the plan knew is what is there.
        assert store.commit(staged) is Outcome.PUBLISHED, known
        self.published[key] = (version, code)
        self.unsure.discard(key)

    def fingerprint(self, key: str) -> str:
        return f"{digest_text(f'{key} {self.versions[key]}')}-{NOTHING}-{NOTHING}-{NOTHING}"

    @invariant()
    def what_is_finished_is_whole_and_of_one_attempt(self) -> None:
        if not hasattr(self, "bucket"):
            return
        store = ObjectStore("memory", MemoryBlobs(self.bucket))
        found = dict(store.contents(KEYS))
        for key, contents in found.items():
            assert fault(contents) == "", key
            texts = {
                self.bucket.objects[f"{key}/{name}"][0]
                for name in contents.files
                if "." not in name and name != "status_code"
            }
            assert len(texts) == 1, (key, texts)
        for key, (_, code) in self.published.items():
            assert found[key].status_code == b"%d" % code

    @rule()
    def in_the_end_all_is_completed(self) -> None:
        self.codes = dict.fromkeys(KEYS, 0)
        self.work("none", -1)
        records = ObjectStore("memory", MemoryBlobs(self.bucket)).scan(KEYS)
        assert all(not judge(self.fingerprint(key), records.get(key)).execute for key in KEYS)


class TestHistories(Histories.TestCase):  # type: ignore[misc,valid-type]
    """Found by hypothesis; what it has found stands below as an example of its own."""

    settings = settings(
        max_examples=1500 if NIGHTLY else 100,
        stateful_step_count=30,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        print_blob=True,
    )
