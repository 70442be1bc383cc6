"""One table of schemes: all parts of the program know the same."""

from __future__ import annotations

import pytest
import tomli

from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.batchfile.storage import options_of
from pydoit_sc.store import StoreError, open_store
from pydoit_sc.store.cloud import CloudBlobs
from pydoit_sc.sync.errors import SyncError
from pydoit_sc.sync.remote import is_whole
from pydoit_sc.urls import LOCAL, SCHEMES, kind_of, local_path, scheme_of
from tests.test_lock import ROOT

CLOUDS = [scheme for scheme in SCHEMES if kind_of(f"{scheme}://") in ("s3", "gs", "az")]


@pytest.mark.parametrize(
    ("url", "scheme", "kind", "path"),
    [
        ("", "", LOCAL, ""),
        ("a/b", "", LOCAL, "a/b"),
        ("a:b", "", LOCAL, "a:b"),
        ("file:///a://b", "file", LOCAL, "/a://b"),
        ("FILE:///a", "file", LOCAL, "/a"),
        ("local:///a", "local", LOCAL, "/a"),
        ("s3a://b/c", "s3a", "s3", None),
        ("memory://b/c", "memory", "", None),
        ("own://b/c", "own", "", None),
    ],
)
def test_what_a_url_is(url: str, scheme: str, kind: str, path: str | None) -> None:
    assert (scheme_of(url), kind_of(url), local_path(url)) == (scheme, kind, path)


@pytest.mark.parametrize("scheme", CLOUDS)
def test_all_schemes_of_a_cloud_are_known_everywhere(scheme: str) -> None:
    url = f"{scheme}://bucket/p"
    assert absolute_url(url, "/") == url
    with pytest.raises(ValueError, match=f"is `{url}` meant"):
        absolute_url(f"{scheme}:bucket/p", "/")
    assert options_of(url) is not None
    options = {"account_name": "a"} if kind_of(url) == "az" else {}
    assert isinstance(vars(open_store(url, {**options, "anon": True}))["_blobs"], CloudBlobs)


@pytest.mark.parametrize(
    "url", ["gs://bucket/p", "abfs://box/p", "abfss://box@account.dfs.core.windows.net/p"]
)
def test_what_is_not_installed_is_told_with_its_extra(url: str) -> None:
    """The class of fsspec, for an option that it alone has, and for files that are sent."""
    extra = kind_of(url)
    with pytest.raises(StoreError, match=rf": pip install 'pydoit-sc\[{extra}\]'$"):
        open_store(url, {"version_aware": True})
    with pytest.raises(SyncError, match=rf": pip install 'pydoit-sc\[{extra}\]'$"):
        is_whole(url, 0, {"version_aware": True})


def test_extras_are_those_of_the_package() -> None:
    extras = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {scheme.extra for scheme in SCHEMES.values()} - {""} <= extras.keys()


def test_a_folder_may_be_called_local() -> None:
    assert absolute_url("local//x", "/here") == "file:///here/local/x"
