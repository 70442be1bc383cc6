"""Objects of others below the prefix: markers of folders, names that are no paths. They are left alone, and stop nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from pydoit_sc.store import Store, StoreError, open_store
from pydoit_sc.store.manifest import fault
from tests.conftest import Box
from tests.s3 import KEYS
from tests.store.conformance import Place

MARKERS = (
    "",
    "run/",
    "run/results/",
    "run/results/sub/",
    "other/",
    ".pydoit_sc/",
    ".pydoit_sc/leases/",
    ".pydoit_sc/index/",
)
NO_PATHS = (
    "run//x",
    "/x",
    "a//b/status_code",
    "x//",
    ".pydoit_sc/leases//w",
    "a/./b/status_code",
    "a/../b/status_code",
    "a\tb/status_code",
)


@pytest.fixture
def client(s3: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the S3 server."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    return botocore.session.Session().create_client("s3", region_name="us-east-1", endpoint_url=s3)


@pytest.fixture
def foreign(client: Any) -> Callable[..., str]:
    """Makes a bucket with these objects below `p/`; returns the URL of that."""

    def make(*keys: str) -> str:
        bucket = f"foreign-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=bucket)
        for key in keys:
            client.put_object(
                Bucket=bucket, Key=f"p/{key}", Body=b"" if key.endswith("/") or not key else b"x"
            )
        return f"s3://{bucket}/p"

    return make


def place(url: str, folder: Path, options: dict[str, object]) -> Place:
    def reopen() -> Store:
        return open_store(url, options)

    return Place(reopen(), lambda _path, _data: None, set, folder, reopen)


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        (MARKERS, {}),
        pytest.param(MARKERS + NO_PATHS, {}, marks=pytest.mark.slow),
        pytest.param(MARKERS + NO_PATHS, {"default_cache_type": "none"}, marks=pytest.mark.slow),
    ],
    ids=["markers", "all", "all, s3fs"],
)
def test_foreign_objects_stop_nothing(
    foreign: Callable[..., str],
    client: Any,
    tmp_path: Path,
    keys: tuple[str, ...],
    options: dict[str, object],
) -> None:
    url = foreign(*keys)
    lab = place(url, tmp_path, options)
    first = lab.attempt("run", 1, results={"a": b"1", "sub/b": b"", "empty": b""})
    said = json.loads(Path(first.folder, "run.json").read_text())
    for attempt, code in ((first, 1), (lab.attempt("run", results={"a": b"2"}), 0)):
        Path(attempt.folder, "run.json").write_text(
            json.dumps({**said, "attempt": attempt.attempt, "status_code": code})
        )
        assert [outcome.name for outcome in lab.publish(attempt)] == ["PUBLISHED"]  # type: ignore[union-attr]
    many = [f"none/{n}" for n in range(101)]
    for wanted in (["run"], ["run", *many]):
        store = lab.reopen()
        assert {key: record.code for key, record in store.scan(wanted).items()} == {"run": 0}
        assert [(key, fault(found)) for key, found in store.contents(wanted)] == [("run", "")]
    assert dict(store.running()) == {}
    assert [*store.orphans(set())] == ["run"]
    assert store.forget("run") is True
    assert lab.record("run") is None
    assert lab.publish(lab.attempt("run"))[0].name == "PUBLISHED"  # type: ignore[union-attr]
    assert store.remove("run") is True
    left = client.list_objects_v2(Bucket=url.split("/")[2]).get("Contents", ())
    # s3fs shows the markers of folders below the run's own key as files of it.
    theirs = {f"p/{key}" for key in keys if not (options and key in MARKERS and key.startswith("run/"))}
    assert {item["Key"] for item in left} >= theirs


def test_a_batch_beside_foreign_objects(foreign: Callable[..., str], box: Box) -> None:
    url = foreign("", "a/1/", "a/1/results/", "a//2", "/x", "a/1//x", "a/2/", "a/2//x")
    box.batchfile(
        f'[batch]\nremote_output_path = "{url}"\n[runs.a]\ncmd = "echo {{x}}"\nmatrix = {{ x = [1, 2] }}\n'
    )
    done = box("run")
    assert done.code == 0, done
    assert done.err.count("are left alone") == 2, done.err  # names that are no paths, and marks of folders
    assert "``" not in done.err, done.err  # the mark of the store's own folder
    for words in (["plan"], ["verify"], ["summarize-batch"], ["clean", "a"]):
        done = box(*words)
        assert done.code == 0, done
        assert done.err.count("are left alone") <= 2, done.err


@pytest.mark.usefixtures("client")
def test_a_bucket_that_is_not_there_is_an_error(box: Box) -> None:
    box.batchfile('[batch]\nremote_output_path = "s3://no-such-bucket/p"\n[runs.a]\ncmd = "true"\n')
    done = box("plan")
    assert (done.code != 0, done.err) == (
        True,
        "ERROR: s3://no-such-bucket/p: there is no bucket `no-such-bucket`\n",
    ), done
    many = [f"a/{n}" for n in range(101)]
    for keys in (["a"], many):
        with pytest.raises(StoreError, match=r"there is no bucket `no-such-bucket`$"):
            open_store("s3://no-such-bucket/p", {}).scan(keys)
