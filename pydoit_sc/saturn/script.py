"""Generate the block of a start script that fetches staged archives: pure functions that return shell lines.

The block runs in a subshell, so that neither its variables nor its trap reach the user's lines; each line says
`|| exit 1` itself, because a shell ignores `set -e` inside of `( … ) || exit 1`.

Archives are extracted by `tar`, which every image has, where our worker may not be installed yet. They are our own:
`sha256sum` compares each with the digest in its name first. `-m` gives files the time of extraction: the archives hold
one fixed time, by which Python would take the compiled form of an older file for current.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from pydoit_sc.saturn.errors import RecipeError
from pydoit_sc.saturn.models import Recipe
from pydoit_sc.sync.extract import digest_in_name
from pydoit_sc.sync.upload import Archive
from pydoit_sc.urls import local_path, scheme_of

BEGIN = "### BEGIN SATURN_CLIENT GENERATED CODE"
END = "### END SATURN_CLIENT GENERATED CODE"

_OLDER = re.compile(rf"^{BEGIN}\r?\n(?:(?!{BEGIN}\r?$|{END}\r?$).*\n)*{END}\r?(?:\n|\Z)", re.MULTILINE)
_SHEBANG = re.compile(r"#!.*\n")
_ARCHIVE = '"$pydoit_sc_tmp/data.tar.gz"'
_GLOB = frozenset("*?[")


def with_block(start_script: str | None, block: str) -> str:
    """Return the script with `block` at its head (after a `#!` line) in the place of older ones."""
    rest = _OLDER.sub("", start_script or "")
    shebang = _SHEBANG.match(rest)
    head = shebang[0] if shebang else ""
    return head + block + rest[len(head) :]


def set_block(recipe: Recipe, staged: Sequence[Archive], worker_install: str = "") -> None:
    """Put the block into a recipe's start script."""
    recipe["spec"]["start_script"] = with_block(
        recipe["spec"].get("start_script"), generated_block(staged, worker_install)
    )


def generated_block(staged: Sequence[Archive], worker_install: str = "") -> str:
    """Return the block that downloads and extracts each archive and installs the worker.

    The worker is installed after the downloads that do not need it, since it may come with them, and before those
    that do.
    """
    plain = [one for one in staged if not _needs_worker(one.url)]
    others = [one for one in staged if _needs_worker(one.url)]
    lines = [line for one in plain for line in _sync_lines(one)]
    if worker_install.strip():
        lines.append(f"sh -ec {shlex.quote(worker_install)} || exit 1")
    lines += [line for one in others for line in _sync_lines(one)]
    if staged:
        lines = ["pydoit_sc_tmp=$(mktemp -d) || exit 1", """trap 'rm -rf -- "$pydoit_sc_tmp"' EXIT""", *lines]
    body = ["(", *lines, ") || exit 1"] if lines else []
    text = "\n".join([BEGIN, *body, END]) + "\n"
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise RecipeError("a path or `worker_install` holds the marker of the generated code")
    return text


def _sync_lines(archive: Archive) -> list[str]:
    destination = shlex.quote(f"{archive.dest.rstrip('/')}/")
    is_right = f'[ "$(sha256sum < {_ARCHIVE})" = "{digest_in_name(archive.url)}  -" ]'
    wrong = shlex.quote(f"{archive.url}: its content is not what its name says")
    return [
        f"{download_command(archive.url)} || exit 1",
        f"{is_right} || {{ printf '%s\\n' {wrong} >&2; exit 1; }}",
        f"mkdir -p -- {destination} || exit 1",
        f"(cd -- {destination} && tar -xzmf -) < {_ARCHIVE} || exit 1",
    ]


def download_command(url: str) -> str:
    """Return the shell command that puts the archive at `url` into the private folder."""
    scheme, quoted = scheme_of(url), shlex.quote(url)
    if _needs_worker(url):
        return f"python3 -m pydoit_sc.sync download {quoted} {_ARCHIVE}"
    if path := local_path(url):
        return f"cp -- {shlex.quote(path)} {_ARCHIVE}"
    if scheme == "s3":
        return f"aws s3 cp {quoted} {_ARCHIVE}"
    if scheme == "gs":
        return f"gcloud storage cp {quoted} {_ARCHIVE}"
    return f"saturnfs cp {quoted} {_ARCHIVE}"


def _needs_worker(url: str) -> bool:
    """Return whether no common tool fetches this URL; gcloud always reads `*?[` as patterns."""
    scheme = scheme_of(url)
    return scheme not in ("file", "s3", "gs", "sfs") or (scheme == "gs" and not _GLOB.isdisjoint(url))
