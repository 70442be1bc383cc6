"""Listings side by side, on stores that list in any order."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator

import botocore.session
import pytest

from pydoit_sc.store import listing
from pydoit_sc.store.blobs import Blob
from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.store.cloudconfig import Config
from pydoit_sc.store.listing import list_whole
from tests.s3 import KEYS
from tests.store.memory_blobs import Bucket, MemoryBlobs

FILES = ("run.json", "status_code", "stderr", "stdout")
BESIDE = (".pydoit-sc/index/a", "a!/status_code", "each", "each!/x", "zone/ß/é/stdout", "zz")


class OrderedBlobs(MemoryBlobs):
    """Lists by a key of its own, a thousand at once, and notes where listings begin and how many objects they bring."""

    lists_after = True
    at_once = 32

    def __init__(self, order: Callable[[str], object], paths: list[str]) -> None:
        super().__init__(Bucket())
        self._ordered = sorted(paths, key=order)  # type: ignore[arg-type]
        self._order = order
        self.begun: list[str] = []
        self.listed = 0

    def list(self, folder: str, after: str = "") -> Iterator[Blob]:
        self.begun.append(after)
        for path in self._ordered:
            if not after or self._order(path) > self._order(after):  # type: ignore[operator]
                self.listed += 1
                yield Blob(path, 1, "", None)


def by_folder(path: str) -> list[str]:
    return path.split("/")


def backwards(path: str) -> list[int]:
    return [-ord(letter) for letter in path] + [1]


@pytest.mark.parametrize(
    "order", [str.encode, by_folder, backwards, hash], ids=["S3", "folders", "backwards", "any"]
)
@pytest.mark.parametrize("there", [0, 1, 2], ids=["none", "half of them", "all"])
def test_nothing_is_left_out_whatever_the_order(order: Callable[[str], object], there: int) -> None:
    keys = [f"each/{number}" for number in range(4500)]
    paths = [f"{key}/{name}" for key in keys[: len(keys) * there // 2] for name in FILES] + [*BESIDE]
    blobs = OrderedBlobs(order, paths)
    assert {blob.path for blob in list_whole(blobs, keys)} == {*paths}
    assert len(blobs.begun) == 4


def test_in_the_order_of_the_names_each_object_is_listed_once_but_for_a_page() -> None:
    keys = [f"each/{number}" for number in range(4000)]
    paths = [f"{key}/{name}" for key in keys for name in FILES]
    blobs = OrderedBlobs(str.encode, paths)
    assert [blob.path for blob in list_whole(blobs, keys)].count(paths[0]) == 1
    assert blobs.listed <= len(paths) + 4 * 1000


def test_few_runs_are_one_listing() -> None:
    keys = [f"each/{number}" for number in range(1999)]
    blobs = OrderedBlobs(str.encode, [f"{key}/run.json" for key in keys])
    assert len([*list_whole(blobs, keys)]) == 1999
    assert blobs.begun == [""]


def test_a_store_that_cannot_begin_in_the_middle_is_listed_from_the_start() -> None:
    class Refuses(OrderedBlobs):
        def list(self, folder: str, after: str = "") -> Iterator[Blob]:
            if after:
                raise OSError("StartAfter is not supported")
            yield from super().list(folder)

    class Ignores(OrderedBlobs):
        def list(self, folder: str, after: str = "") -> Iterator[Blob]:
            return super().list(folder)

    keys = [f"each/{number}" for number in range(2000)]
    paths = [f"{key}/{name}" for key in keys for name in FILES]
    for kind in (Refuses, Ignores):
        assert {blob.path for blob in list_whole(kind(str.encode, paths), keys)} == {*paths}


def test_what_goes_wrong_in_the_middle_is_raised_and_leaves_no_thread() -> None:
    class Fails(OrderedBlobs):
        def list(self, folder: str, after: str = "") -> Iterator[Blob]:
            for number, blob in enumerate(super().list(folder, after)):
                if number == 1500:
                    raise OSError("cut off")
                yield blob

    keys = [f"each/{number}" for number in range(2000)]
    before = threading.active_count()
    with pytest.raises(OSError, match="cut off"):
        [*list_whole(Fails(hash, [f"{key}/{name}" for key in keys for name in FILES]), keys)]
    assert threading.active_count() == before


@pytest.mark.slow
@pytest.mark.parametrize("awkward", ["", "/p//x"], ids=["paths", "a name that is no path"])
def test_a_real_server_lists_the_same_side_by_side(
    s3: str, awkward: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_RUNS", 15)
    monkeypatch.setattr(listing, "_PAGE", 20)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    client = botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=s3)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    keys = [f"each/ß {number}" for number in range(60)]
    paths = [*(f"{key}/status_code" for key in keys), *BESIDE]
    for path in (*(f"p/{path}" for path in paths), *filter(None, [awkward.lstrip("/")])):
        client.put_object(Bucket=bucket, Key=path, Body=b"0")
    config = {"endpoint": s3, "access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}
    blobs = CloudBlobs(Config("s3", bucket, "p", config))
    assert {blob.path for blob in list_whole(blobs, keys)} == {*paths}
    start = f"{max(keys)}/"
    assert [blob.path for blob in blobs.list("each", f"{start}!")] == [f"{start}status_code"]
