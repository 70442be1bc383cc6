"""Requests to any fsspec file system are tried again where that may help."""

from __future__ import annotations

import errno
import time
import uuid
from collections.abc import Callable, Mapping

import pytest

from pydoit_sc.store.anyfs import AnyBlobs


class Failing:
    """A file system's `cat_file` that raises these errors first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self, *_: object, **__: object) -> bytes:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return b"data"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between the tries, which take no time."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def blobs(failing: Failing) -> AnyBlobs:
    """Return a file system that fails so."""
    store = AnyBlobs(f"memory://{uuid.uuid4().hex}", {})
    store._fs.cat_file = failing
    return store


def test_an_error_that_may_pass_is_tried_again(pauses: list[float]) -> None:
    failing = Failing(*[OSError(errno.EIO, "reset")] * 3)
    assert blobs(failing).get("a") == b"data"
    assert len(pauses) == 3 and pauses[0] < 0.4 < pauses[2]
    failing = Failing(*[TimeoutError()] * 4)
    with pytest.raises(TimeoutError):
        blobs(failing).get("a")
    assert failing.calls == 4


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), PermissionError(), OSError(errno.EINVAL, "a wrong request"), ValueError()]
)
def test_an_error_that_stays_is_raised_at_once(error: Exception, pauses: list[float]) -> None:
    failing = Failing(error)
    with pytest.raises(type(error)):
        blobs(failing).get("a")
    assert failing.calls == 1
    assert pauses == []


WRITES: Mapping[str, Callable[[AnyBlobs], object]] = {
    "pipe_file": lambda store: store.put("a", b"data"),
    "put_file": lambda store: store.upload("/dev/null", "a", new=True),
    "cp_file": lambda store: store.copy("a", "b"),
    "rm_file": lambda store: store.delete(["a"]),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_request_that_writes_is_made_once(name: str, pauses: list[float]) -> None:
    store, failing = AnyBlobs(f"memory://{uuid.uuid4().hex}", {}), Failing(OSError(errno.EIO, "reset"))
    setattr(store._fs, name, failing)
    with pytest.raises(OSError, match="reset"):
        WRITES[name](store)
    assert failing.calls == 1  # it must not come late: who holds the lease tries again
    assert pauses == []
