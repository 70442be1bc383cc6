"""Every kind of store passes the same checks; S3 is a real server with the real client."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from hashlib import md5
from pathlib import Path

import fsspec
import pytest

from pydoit_sc.store import Finished, Store, StoreError, open_store
from pydoit_sc.store.blobs import Blob
from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.store.cloudconfig import read_config
from pydoit_sc.store.objects import ObjectStore
from tests.s3 import KEYS
from tests.store import conformance
from tests.store.conformance import Place
from tests.store.memory_blobs import Bucket, MemoryBlobs

SLOW = ("s3", "s3 by fsspec", "gs", "az")


@pytest.fixture(
    params=["posix", "memory", "encrypted", *(pytest.param(one, marks=pytest.mark.slow) for one in SLOW)]
)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty store of each kind."""
    folder = tmp_path / "attempts"
    folder.mkdir()
    if request.param == "posix":
        return posix_place(tmp_path / "store", folder)
    if request.param == "encrypted":
        return encrypted_place(folder)
    if request.param in ("gs", "az"):
        where: tuple[str, dict[str, object]]
        where = request.getfixturevalue({"gs": "google", "az": "azure"}[request.param])
        return cloud_place(*where, folder)
    options: dict[str, object] = {"skip_instance_cache": True, "use_listings_cache": False}
    scheme = request.param.partition(" ")[0]
    url = f"{scheme}://bucket-{uuid.uuid4().hex[:12]}/deep er/prefix"
    if scheme == "s3":
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    fs, root = fsspec.core.url_to_fs(url, **options)
    if scheme == "s3":
        fs.mkdir(root.partition("/")[0])

    def put(path: str, data: bytes) -> None:
        fs.pipe_file(f"{root}/{path}", data)

    def paths() -> set[str]:
        return {
            path[len(root) + 1 :]
            for path in fs.find(root)
            if not re.search("/.pydoit_sc/(index|leases)/", path)
        }

    # An option that only fsspec's class knows leads there.
    own: dict[str, object] = {"default_cache_type": "none"} if request.param == "s3 by fsspec" else {}
    return Place(open_store(url, own), put, paths, folder, lambda: open_store(url, own))


def cloud_place(url: str, options: Mapping[str, object], folder: Path) -> Place:
    """A store of a cloud that fsspec has no class for here."""
    config = read_config(url, options)
    assert config
    blobs = CloudBlobs(config)

    def put(path: str, data: bytes) -> None:
        blobs.put(path, data)

    def paths() -> set[str]:
        found = {blob.path for blob in blobs.list("")}
        return {path for path in found if not re.match("[.]pydoit_sc/(index|leases)/", path)}

    return Place(
        open_store(url, options),
        put,
        paths,
        folder,
        lambda: open_store(url, options),
        blobs.not_in_keys,
    )


class Encrypted(MemoryBlobs):
    """A client of a bucket that is encrypted with keys of KMS: its ETags look like MD5s of contents, and are none."""

    def _blob(self, path: str) -> Blob:
        blob = super()._blob(path)
        etag = f'"{md5(blob.etag.encode()).hexdigest()}"'
        return blob._replace(etag=etag, version=etag)


def encrypted_place(folder: Path) -> Place:
    """A store like S3 with such a bucket."""
    bucket = Bucket()
    blobs = Encrypted(bucket)

    def put(path: str, data: bytes) -> None:
        blobs.put(path, data)

    def paths() -> set[str]:
        return {path for path in bucket.objects if not re.match("[.]pydoit_sc/(index|leases)/", path)}

    def reopen() -> Store:
        return ObjectStore("memory", Encrypted(bucket))

    return Place(reopen(), put, paths, folder, reopen)


def posix_place(root: Path, folder: Path) -> Place:
    """A store on a local disk."""

    def put(path: str, data: bytes) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    def paths() -> set[str]:
        return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}

    def reopen() -> Store:
        return open_store(f"file://{root}", {}, durable=False)

    return Place(open_store(str(root), {}), put, paths, folder, reopen)


@pytest.mark.parametrize("check", conformance.CHECKS, ids=lambda check: check.__name__)
def test_store_keeps_the_promise(place: Place, check: Callable[[Place], None]) -> None:
    check(place)


def test_a_lease_on_google_is_renewed(google: tuple[str, dict[str, object]], tmp_path: Path) -> None:
    """It compares generations where others compare ETags."""
    conformance.retried(cloud_place(*google, tmp_path))


def test_an_error_of_the_store_is_no_absence(
    refusing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    store = open_store("s3://bucket/prefix", {"endpoint_url": refusing})
    Path(tmp_path, "status_code").write_text("0")
    attempt = Finished("run", "a-1", str(tmp_path), None)
    for call in (
        lambda: store.scan(["run"]),
        lambda: store.files("run"),
        lambda: store.open("run", "stdout"),
        lambda: store.forget("run"),
        lambda: store.remove("run"),
        lambda: list(store.orphans(set())),
    ):
        with pytest.raises(StoreError, match="s3://bucket/prefix"):
            call()
    assert isinstance(store.stage([attempt])[0], StoreError)
    assert Path(tmp_path, "status_code").exists()


def test_a_store_that_cannot_be_opened_says_so() -> None:
    for url, options in (
        ("nonsense://x/y", {}),
        ("s3://bucket/x", {"no_such_option": 1}),
        ("http://x/y", {"client_kwargs": 3}),
    ):
        try:
            store = open_store(url, options)
            store.scan(["a"])
        except StoreError as error:
            assert url in str(error)
        else:
            pytest.fail(f"{url} with {options} was opened")
