"""The promise, as checks: at-least-once execution, exactly-once publication.

Every check takes what the store holds, or what the runs wrote down elsewhere, and raises a `Violation` that says what
is wrong with which run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydoit_sc.worker.attempts import SPOILT

#: What a run of the laboratory leaves: these files and no others.
FILES = {"stdout", "stderr", "status_code", "run.json", "results/rows"}
#: How the fingerprint of a run ends that was executed by the command as it is now.
CURRENT = " now"

_TEXTS = ("stdout", "stderr", "results/rows")


class Violation(AssertionError):  # noqa: N818 - it is what is looked for, not what went wrong
    """The promise is broken; the text says how."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it lies there; two that are equal have not been touched in between."""

    data: bytes
    inode: int
    modified: int  # nanoseconds since the epoch


#: The files of each run that has a `status_code`, by path below its output.
State = Mapping[str, Mapping[str, File]]


def look(root: Path, names: Iterable[str]) -> State:
    """Return what the store holds of each of these runs that says that it is finished."""
    return {name: _files(root / name) for name in names if (root / name / "status_code").exists()}


def _files(folder: Path) -> Mapping[str, File]:
    found = {}
    for above, _, files in os.walk(folder):
        for file in files:
            path = Path(above, file)
            stat = path.stat()
            found[str(path.relative_to(folder))] = File(path.read_bytes(), stat.st_ino, stat.st_mtime_ns)
    return found


def completed(state: State) -> set[str]:
    """Return the runs that need not be executed: status code 0, and by the command as it is now."""
    return {name for name, files in state.items() if files["status_code"].data == b"0" and _is_current(files)}


def spoilt(state: State) -> set[str]:
    """Return the runs that have failed since their own output could not be kept, as their `run.json` says."""
    return {
        name
        for name, files in state.items()
        if files["status_code"].data == b"%d" % SPOILT and "reason" in _json(files["run.json"].data)
    }


def _is_current(files: Mapping[str, File]) -> bool:
    fingerprint = _json(files["run.json"].data)["fingerprint"]
    return isinstance(fingerprint, str) and fingerprint.endswith(CURRENT)


def check_whole(state: State) -> None:
    """Each run that has a `status_code` is whole, and all of it is of one attempt."""
    for name, files in state.items():
        whole_or_less = set(files) <= FILES if name in spoilt(state) else set(files) == FILES
        _demand(whole_or_less, f"{name}: has a status_code, and {sorted(files)}")
        said = _json(files["run.json"].data)
        code, attempt = files["status_code"].data, said["attempt"]
        _demand(code == b"%d" % said["status_code"], f"{name}: status_code {code!r}, but run.json: {said}")
        whole = "".join(f"{name} {attempt} {n}\n" for n in (1, 2, 3)).encode()
        for file in files.keys() & set(_TEXTS):
            found = files[file].data
            _demand(found == whole, f"{name}: {file} holds {found!r}, expected {whole!r}")


def check_unchanged(before: State, after: State) -> None:
    """What was completed has stayed as it was: the same bytes in the same files."""
    for name in completed(before):
        _demand(before[name] == after.get(name), f"{name}: was completed, and was changed after that")


def check_executed(
    before: State, executions: Mapping[str, Sequence[str]], more: Mapping[str, Sequence[str]], twice: str
) -> None:
    """Between these two lists of attempts, exactly the runs that were not completed before were executed.

    Each once; but the run `twice` fails at the first execution of all, and is then retried.
    """
    for name, attempts in more.items():
        new = len(attempts) - len(executions[name])
        first = name == twice and not executions[name]
        expected = 0 if name in completed(before) else 2 if first else 1
        why = "was completed" if name in completed(before) else "was missing"
        _demand(new == expected, f"{name}: {why}, and was executed {new} times, expected {expected}")


def check_last(state: State, executions: Mapping[str, Sequence[str]], late: Collection[str] = ()) -> None:
    """No completed run was executed after its publication: its attempt is the last; except where `late` allows it."""
    for name in completed(state):
        attempt = _json(state[name]["run.json"].data)["attempt"]
        _demand(attempt in executions[name], f"{name}: published attempt {attempt}, which was never executed")
        if name not in late:
            last = executions[name][-1]
            _demand(attempt == last, f"{name}: attempt {attempt} is published, and {last} was executed later")


def check_late(
    state: State, executions: Mapping[str, Sequence[str]], more: Mapping[str, Sequence[str]]
) -> None:
    """Between these two lists of attempts, no run that was completed was executed, except for one.

    That is the one which a worker may have been just about to start, having asked the store, when it was frozen.
    """
    late = [name for name in completed(state) for _ in more[name][len(executions[name]) :]]
    _demand(len(late) <= 1, f"executed again after they were completed: {late}")


def check_finished(state: State, names: Collection[str], failing: Collection[str]) -> None:
    """Every run is published, and all but these are completed."""
    missing = set(names) - set(state)
    _demand(not missing, f"not published: {sorted(missing)}")
    failed = set(state) - completed(state)
    _demand(failed == set(failing), f"failed: {sorted(failed)}, expected {sorted(failing)}")


def check_clean(litter: Sequence[str]) -> None:
    """Nothing is left of the attempts of workers that are gone."""
    _demand(not litter, f"left behind: {litter}")


def _json(data: bytes) -> dict[str, Any]:
    try:
        said: dict[str, Any] = json.loads(data)
    except ValueError:
        raise Violation(f"a run.json is torn: {data!r}") from None
    return said


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
