"""One table of schemes: all parts of the program know the same."""

from __future__ import annotations

import re

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
    ("url", "words"),
    [
        ("gs://bucket/p", "'pydoit-sc[gs]' gcsfs"),
        ("abfs://box/p", "'pydoit-sc[az]' adlfs"),
        ("abfss://box@account.dfs.core.windows.net/p", "'pydoit-sc[az]' adlfs"),
    ],
)
def test_what_is_not_installed_is_told_with_how_to_install_it(url: str, words: str) -> None:
    """The class of fsspec, for an option that it alone has, and for files that are sent."""
    with pytest.raises(StoreError, match=f": pip install {re.escape(words)}$"):
        open_store(url, {"version_aware": True})
    with pytest.raises(SyncError, match=f": pip install {re.escape(words)}$"):
        is_whole(url, 0, {"version_aware": True})


def test_an_extra_brings_the_class_of_fsspec_or_it_is_named() -> None:
    extras = tomli.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    classes = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "saturn": "saturnfs"}
    for scheme in SCHEMES.values():
        if scheme.extra:
            brought = any(one.startswith(classes[scheme.extra]) for one in extras[scheme.extra])
            assert scheme.package == ("" if brought else classes[scheme.extra])


def test_a_folder_may_be_called_local() -> None:
    assert absolute_url("local//x", "/here") == "file:///here/local/x"
