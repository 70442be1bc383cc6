"""What exactly has changed since a run was published: which files, which variables, which words of its command.

`run.json` keeps the command, a digest of each variable, and a digest of each file or folder of `file_dep`. It is read
for a few runs, and only to tell: the fingerprint alone decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from pydoit_sc.batch import Run, RunSet, Status, task_of
from pydoit_sc.errors import on_a_line
from pydoit_sc.fingerprint import MissingFileDepError, changed_parts, digest_variables, split_parts
from pydoit_sc.ledger import Ledger
from pydoit_sc.plan import Planned
from pydoit_sc.store import Outputs, StoreError
from pydoit_sc.store.base import answers
from pydoit_sc.store.layout import LARGEST, RUN_JSON
from pydoit_sc.store.stamps import read
from pydoit_sc.verdicts import CHANGED, TO_EXECUTE

if TYPE_CHECKING:
    from pydoit_sc.store.documents import Provenance

_MOST = 8  # changes of a stage's runs whose documents are read
_NAMED = 3  # files or variables of a reason
_LISTED = 20  # of a run that is looked at
_EARLIER = 50  # earlier runs whose documents are read
_WORDS = 400  # of a command that are compared
_AROUND = 4  # words that are shown beside a change

Way = tuple[tuple[str, str, str], ...]


def in_full(ledger: Ledger, store: Outputs, planned: Iterable[Planned]) -> Iterator[Planned]:
    """Yield a plan whose stale runs have their reasons in full, as far as `run.json` tells them.

    Runs whose fingerprints have changed in the same way have had the same change, so one document tells for all of them.
    """
    told: dict[Way, Mapping[str, str]] = {}
    looked: Counter[str] = Counter()  # by stage
    for item in planned:
        way = _way(ledger, item)
        files_or_env = tuple(change for change in way if change[0] in ("env", "file_dep"))
        if files_or_env and files_or_env not in told and looked[item.stage.name] < _MOST:
            looked[item.stage.name] += 1
            told[files_or_env] = _reasons(ledger, store, item.run)
        if reasons := told.get(files_or_env):
            said = {**CHANGED, "after": TO_EXECUTE} if item.verdict.detail else CHANGED
            words = ", ".join(reasons.get(part, said[part]) for part, _, _ in way)
            item = item._replace(verdict=item.verdict._replace(reason=words))  # noqa: PLW2901 - the same one, in full
        yield item


def details(ledger: Ledger, store: Outputs, run: Run, known: Provenance | None = None) -> Iterator[str]:
    """Yield what has changed for one run, a line each: its command as a difference by words, files, variables, runs.

    That is since its outcome, or since the attempt whose `run.json` is given.
    """
    known = known or _known(store, run.key)
    if known is None:
        return
    try:
        parts = changed_parts(known.fingerprint, ledger.fingerprint(run))
        files = ledger.files(run)
    except MissingFileDepError:
        return
    if "cmd" in parts:
        yield f"cmd: {word_diff(known.cmd, run.cmd)}"
    if "env" in parts:
        yield f"env: {_listed(_env_changes(known, run), _LISTED) or 'other values, or another shell'}"
    if "file_dep" in parts and (found := _file_changes(known, files)):
        yield f"file_dep: {_listed(found, _LISTED)}"
    if "after" in parts:
        yield from _earlier(ledger, store, run, known)


def _way(ledger: Ledger, item: Planned) -> Way:
    """Return in which parts the fingerprint of a stale run has changed, from what and to what."""
    if item.verdict.status is not Status.STALE or item.run.key in ledger.taken:
        return ()
    if (record := ledger.record(item.run)) is None or record.code:
        return ()
    try:
        now = ledger.fingerprint(item.run)
    except MissingFileDepError:
        return ()
    before, after = split_parts(record.fingerprint), split_parts(now)
    return tuple(
        (part, before[part], after[part])
        for part in after
        if before.get(part) != after[part] and part in before
    )


def provenance_at(store: Outputs, key: str) -> Provenance | None:
    """Return the `run.json` of an output, or None where there is no sound one; raises StoreError."""
    from pydoit_sc.store.documents import Provenance  # noqa: PLC0415 - seldom needed, and slow to import

    try:
        with (
            answers(f"{store.url}/{key}", Exception, but=(FileNotFoundError,)),
            store.open(key, RUN_JSON) as file,
        ):
            return read(Provenance, file.read(LARGEST))
    except FileNotFoundError:
        return None


def _known(store: Outputs, key: str) -> Provenance | None:
    """Return it for a hint, which is left out where the store does not give it."""
    with suppress(StoreError):
        return provenance_at(store, key)
    return None


def _reasons(ledger: Ledger, store: Outputs, run: Run) -> Mapping[str, str]:
    """Return the reason for each part of a fingerprint that `run.json` tells more of."""
    known = _known(store, run.key)
    if known is None:
        return {}
    found = {
        "env": _listed(_env_changes(known, run), _NAMED),
        "file_dep": _listed(_file_changes(known, ledger.files(run)), _NAMED),
    }
    return {part: f"{part} {words}" for part, words in found.items() if words}


def _env_changes(known: Provenance, run: Run) -> list[str]:
    return list(_changes(known.env or {}, digest_variables(run.settings.env), "changed"))


def _file_changes(known: Provenance, files: Mapping[str, str]) -> list[str]:
    """Return the files that differ; nothing where one document has files and the other one folders."""
    before = known.file_dep or {}
    if not before or _has_folders(before) != _has_folders(files):
        return []
    return list(_changes(before, files, "edited"))


def _has_folders(files: Mapping[str, str]) -> bool:
    return any(path.endswith("/") for path in files)


def _changes(before: Mapping[str, str], now: Mapping[str, str], changed: str) -> Iterator[str]:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield f"{name} {'added' if name not in before else 'removed' if name not in now else changed}"


def _listed(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return on_a_line(", ".join(names[:most]) + more)


def _earlier(ledger: Ledger, store: Outputs, run: Run, known: Provenance) -> Iterator[str]:
    """Yield what has changed of the earlier runs; nothing if they are many.

    Published since are those that ended after this one had started, by their machines' clocks.
    """
    earlier = [run_ for one in run.after for run_ in (one.members if isinstance(one, RunSet) else (one,))]
    if len(earlier) > _EARLIER:
        return
    without = [task_of(run_.key) for run_ in earlier if ledger.record(run_) is None]
    documents = ((run_, _known(store, run_.key)) for run_ in earlier)
    since = [task_of(run_.key) for run_, found in documents if found and found.finished > known.started]
    if without:
        yield f"without an outcome: {_listed(without, _LISTED)}"
    if since:
        yield f"published since: {_listed(since, _LISTED)}"
    if not (without or since):
        yield "it comes after other runs than then, or other attempts at them"


def word_diff(old: str, new: str) -> str:
    """Return two commands as one text, with what is gone in `[-…-]` and what is new in `{+…+}`.

    >>> word_diff("python work.py --seed 1", "python work.py --seed 2 -v")
    'python work.py --seed [-1-]{+2 -v+}'
    """
    import difflib  # noqa: PLC0415 - seldom needed

    a, b = (re.findall(r"\s+|[^\s]+", text) for text in (old, new))
    if max(len(a), len(b)) > _WORDS:
        return f"[-{''.join(a[:_WORDS])[:500]}…-]{{+{''.join(b[:_WORDS])[:500]}…+}}"
    shown = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            same = a[i:j]
            cut = 2 * _AROUND
            shown += [*same[:cut], " … ", *same[-cut:]] if len(same) > 3 * cut else same
            continue
        shown.append(f"[-{''.join(a[i:j])}-]" if i < j else "")
        shown.append(f"{{+{''.join(b[k:m])}+}}" if k < m else "")
    return "".join(shown)
