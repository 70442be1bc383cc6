"""Secrets of every kind are in nothing that a submission leaves, says or starts, with any engine."""

from __future__ import annotations

import gzip
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.engines.conformance_engines import ENGINES
from tests.engines.place import Place, arguments

pytestmark = pytest.mark.slow

BATCH = """\
[batch]
remote_output_path = "s3://bucket/out"
nprocs = 2
batch_size = 2
storage_options = {{ endpoint_url = "{url}", key = "{option_key}", secret = "{option_secret}", token = "{option_token}" }}

[runs.a]
cmd = "echo {{x}}; echo error >&2; test {{x}} != 2"
matrix = {{ x = [0, 1, 2] }}
"""

#: Variables of the user who submits.
VARIABLES = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "SATURN_TOKEN", "SATURN_REFRESH_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY", "GITHUB_TOKEN", "DB_PASSWORD", "DATABASE_URL",
    "HTTPS_PROXY",
)  # fmt: skip
OPTIONS = ("option_key", "option_secret", "option_token")
FILES = ("aws_credentials", "netrc", "kubeconfig")

KUBECTL = """\
#!/bin/sh
echo "$*" >> "$PLACE/kubectl.log"
case $1 in
    create) cat "$3" >> "$PLACE/kubectl.log"; echo '{"metadata": {"namespace": "n", "name": "job"}}' ;;
    get) echo '{"items": []}' ;;
esac
"""


@contextmanager
def _kubernetes(_: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """A cluster that takes every job and executes none."""
    (folder / "bin").mkdir()
    (folder / "bin" / "kubectl").write_text(KUBECTL)
    (folder / "bin" / "kubectl").chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    yield Place(folder, "kubernetes", 'image = "i"', {"PATH": path, "PLACE": str(folder)})


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Give what the arguments of all processes are while the body goes on."""
    seen, over = [arguments()], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            seen.append(arguments())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _plant(home: Path) -> dict[str, str]:
    """Return canaries by their kind; those of files are in the user's home."""
    home.mkdir()
    found = {kind: f"canary-{secrets.token_hex(8)}" for kind in (*VARIABLES, *OPTIONS, *FILES)}
    (home / "credentials").write_text(
        f"[default]\naws_access_key_id = {found['aws_credentials']}\naws_secret_access_key = {found['aws_credentials']}\n"
    )
    (home / ".netrc").write_text(f"machine 127.0.0.1 login me password {found['netrc']}\n")
    (home / ".netrc").chmod(0o600)
    (home / "kubeconfig").write_text(f"users: [{{name: me, user: {{token: {found['kubeconfig']}}}}}]\n")
    return found


def _contents(paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, bytes]:
    """Return what files hold; a worker that was cancelled may still remove some of its own."""
    found = {}
    for path in paths:
        with suppress(FileNotFoundError):
            found[path] = read(path)
    return found


@pytest.mark.parametrize("engine", [*ENGINES, "kubernetes"])
def test_no_secret_is_in_any_of_it(
    request: pytest.FixtureRequest, engine: str, folder: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    home = folder.parent / "home"
    canaries = _plant(home)
    variables = {name: canaries[name] for name in VARIABLES}
    variables["HTTPS_PROXY"] = f"http://me:{canaries['HTTPS_PROXY']}@127.0.0.1:9"
    variables["DATABASE_URL"] = f"postgres://me:{canaries['DATABASE_URL']}@host/db"
    variables |= {"HOME": str(home), "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials")}
    variables |= {
        "KUBECONFIG": str(home / "kubeconfig"),
        "AWS_ENDPOINT_URL": s3,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    fs = s3fs.S3FileSystem(key="a", secret="b", endpoint_url=s3, skip_instance_cache=True)
    fs.mkdir("bucket")
    setup = _kubernetes if engine == "kubernetes" else ENGINES[engine]
    with setup(request, folder) as place, _watched() as seen:
        for name, value in variables.items():
            if name not in place.env:
                monkeypatch.setenv(name, value)  # also of machines that the stand-in for Saturn Cloud starts
        monkeypatch.setenv("TMPDIR", str(folder))
        canaries |= {name: value for name, value in place.env.items() if name.endswith("_TOKEN")}
        place.batchfile(BATCH.format(url=s3, **canaries))
        wait = () if engine == "kubernetes" else ("--wait",)
        said = [place("submit", *wait, code=len(wait))]
        assert len(fs.glob("bucket/out/a/*/status_code")) == (3 if wait else 0)
        said += [place(*words) for words in (("submissions",), ("summarize-batch", "--format", "json"))]
        said += [place("logs", "a:0")] if wait else []
        said += [place("run", "split"), place("run", "apply")]
        said.append(place("cancel"))
        texts = {f"what is said {n}": text for n, text in enumerate([*said, *seen])}
        paths = [str(path) for path in folder.rglob("*") if path.is_file()]
        files = _contents(paths, lambda path: Path(path).read_bytes())
        objects = _contents(fs.find("bucket"), fs.cat_file)
    del files[str(folder / "batchfile.toml")]
    assert any(path.endswith("/0.json") for path in objects) and any(
        "/submitted/" in path for path in objects
    )
    assert any("pydoit_sc" in text or "pydoit-sc" in text for text in seen)
    if engine != "saturn":
        assert any("/submissions/" in path for path in files)
    everything = {**{name: text.encode() for name, text in texts.items()}, **files, **objects}
    for name, raw in everything.items():
        data = gzip.decompress(raw) if name.endswith(".gz") else raw
        found = [kind for kind, canary in canaries.items() if canary.encode() in data]
        assert not found, f"{name} has {found}"
        assert b"PRIVATE KEY" not in data or name.endswith("dask.access"), name
