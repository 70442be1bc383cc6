"""Every kind of store passes the same checks; S3 is a real server with the real client."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from hashlib import md5
from pathlib import Path

import fsspec
import pytest

from pydoit_sc.store import Finished, Store, StoreError, open_store
from pydoit_sc.store.blobs import Blob, ChangedError
from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.store.cloudconfig import read_config
from pydoit_sc.store.objects import ObjectStore
from tests.conftest import until
from tests.s3 import KEYS, serve_s3
from tests.store import conformance
from tests.store.conformance import Place
from tests.store.memory_blobs import Bucket, MemoryBlobs

SLOW = ("s3", "s3 by fsspec", "s3 that refuses conditions", "gs", "az")
_OF_WORKERS = r"\.pydoit_sc/(index/|leases/|conditional$)"


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
        server = "refusing_conditions" if request.param == "s3 that refuses conditions" else "s3"
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue(server))
    fs, root = fsspec.core.url_to_fs(url, **options)
    if scheme == "s3":
        fs.mkdir(root.partition("/")[0])

    def put(path: str, data: bytes) -> None:
        fs.pipe_file(f"{root}/{path}", data)

    def paths() -> set[str]:
        return {
            path[len(root) + 1 :]
            for path in fs.find(root)
            if not re.match(_OF_WORKERS, path[len(root) + 1 :])
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
        return {path for path in found if not re.match(_OF_WORKERS, path)}

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
        return {path for path in bucket.objects if not re.match(_OF_WORKERS, path)}

    def reopen() -> Store:
        return ObjectStore("memory", Encrypted(bucket))

    return Place(reopen(), put, paths, folder, reopen)


@pytest.fixture(scope="module")
def refusing_conditions() -> Iterator[str]:
    """The URL of an S3 server that refuses each request with a condition."""
    with serve_s3("refused") as url:
        yield url


@pytest.mark.slow
@pytest.mark.parametrize(
    ("conditions", "env", "heeds"),
    [
        ("heeded", {}, True),
        ("ignored", {}, False),
        ("refused", {}, False),
        ("heeded", {"AWS_CONDITIONAL_PUT": "disabled"}, False),
    ],
)
def test_whether_a_server_heeds_conditions_is_found_out(
    conditions: str, env: Mapping[str, str], heeds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it does not, a worker looks before it writes."""
    with serve_s3(conditions) as url:
        for name, value in {**KEYS, **env, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bucket")
        config = read_config("s3://bucket/p", {})
        assert config
        for _ in range(2):  # the second worker finds the object that the first has left
            blobs = CloudBlobs(config)
            with ObjectStore("s3://bucket/p", blobs).workspace("abc", None):
                if not heeds:
                    until(lambda blobs=blobs: not blobs.is_atomic)  # type: ignore[misc]
                version = blobs.put("there", b"1")
                with pytest.raises(FileExistsError):
                    blobs.create("there", b"2")
                for path, other in (("there", "other"), ("absent", version)):
                    with pytest.raises(ChangedError):
                        blobs.update(path, b"3", other)
                assert blobs.get("there") == b"1"
                assert blobs.update("there", b"4", version)
                assert blobs.create("new", b"5")
                blobs.delete(["new"])
            assert blobs.is_atomic == heeds


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
