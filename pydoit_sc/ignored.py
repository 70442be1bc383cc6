"""What `ignore` has said: a small file beside the batchfile names runs and stages by the places of their outputs.

So two batches in one folder know nothing of each other's. A run that a list knows only by its position is known by its
command, too: where lines are put in above, it is the command that stays ignored, not the place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping

from pydoit_sc.batch import PLAIN, Batch, Run, Stage, task_of
from pydoit_sc.errors import UserError, reason
from pydoit_sc.files import open_regular, write_whole
from pydoit_sc.fingerprint import digest_text

FILE = ".pydoit_sc.ignored.json"

Marks = Mapping[str, str]  # places, with the digest of the command where that counts, else ""


def read_ignored(batch: Batch) -> frozenset[str]:
    """Return the stages and runs of a batch that are ignored, by the names of their tasks; raises UserError."""
    return frozenset(_names(batch, _marks(batch)).values())


def change_ignored(batch: Batch, more: Collection[str] = (), fewer: Collection[str] = ()) -> None:
    """Ignore stages and runs, by the names of their tasks, and others no longer; raises UserError.

    A stage of which a run is not ignored any more is not ignored as a whole, either: its other runs have marks of their own.
    """
    marks = _marks(batch)
    names = _names(batch, marks)
    now = (set(names.values()) | set(more)) - set(fewer) - {name.partition(":")[0] for name in fewer}
    new = {place: said for place, said in marks.items() if place not in names}
    new.update(_mark(batch, name) for name in now)
    if new != marks:
        path = str(batch.folder / FILE)
        try:
            write_whole(path, json.dumps(dict(sorted(new.items())), indent=0).encode())
        except OSError as error:
            raise UserError(reason(error)) from error


def _marks(batch: Batch) -> Marks:
    """Return what the file beside the batchfile says, nothing if it is none of ours; raises UserError."""
    try:
        with open_regular(str(batch.folder / FILE)) as file:
            found = json.load(file)
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    except OSError as error:
        raise UserError(reason(error)) from error
    said = found if isinstance(found, dict) else {}
    return {place: digest for place, digest in said.items() if isinstance(digest, str)}


def _root(batch: Batch) -> str:
    """Return the place of all outputs: below the batchfile's folder, which may be moved, by what lies there."""
    return batch.remote_output_path.removeprefix(f"file://{batch.folder}/")


def _list_of(batch: Batch) -> Stage | None:
    return next((stage for stage in batch.stages if stage.name == PLAIN), None)


def _mark(batch: Batch, name: str) -> tuple[str, str]:
    """Return the mark of a task: for a list as a whole the place of all its outputs."""
    listed = _list_of(batch)
    if listed is None:
        return f"{_root(batch)}/{name.replace(':', '/', 1)}", ""
    key = name.partition(":")[2]
    if not key:
        return _root(batch), ""
    run = _unnamed(listed, key)
    return f"{_root(batch)}/{key}", digest_text(run.cmd) if run else ""


def _unnamed(listed: Stage, key: str) -> Run | None:
    """Return the run that a list knows by this position."""
    position = int(key) if not listed.named and len(key) < 10 and key.isdecimal() else len(listed.runs)
    run = listed.runs[position] if position < len(listed.runs) else None
    return run if run and run.name == key else None


def _names(batch: Batch, marks: Marks) -> dict[str, str]:
    """Return the names of the tasks that marks mean, by place; those of other batches are left out."""
    root, listed = _root(batch), _list_of(batch)
    found, held = {}, dict[str, str]()
    for place, digest in marks.items():
        key = place.removeprefix(f"{root}/")
        if listed and place == root:
            found[place] = PLAIN
        elif key == place:
            continue
        elif listed and digest:
            held[place] = digest
        else:
            found[place] = f"{PLAIN}:{key}" if listed else task_of(key)
    return {**found, **_held(listed, held)} if listed and held else found


def _held(listed: Stage, marks: Marks) -> dict[str, str]:
    """Return the tasks of marks that are held to commands: where these are now, one for each mark."""
    found, moved = {}, dict[str, list[str]]()
    for place, digest in marks.items():
        run = _unnamed(listed, os.path.basename(place))
        if run and digest_text(run.cmd) == digest:
            found[place] = listed.task_name(run)
        else:
            moved.setdefault(digest, []).append(place)
    taken = set(found.values())
    for run in listed.runs if moved else ():
        places, name = moved.get(digest_text(run.cmd)), listed.task_name(run)
        if places and name not in taken:
            found[places.pop()] = name
    return found
