"""`verify`: compare every finished run with its `run.json`, and make incomplete those that differ, if asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pydoit_sc.commands.base import Command
from pydoit_sc.commands.parsing import flag, json_option
from pydoit_sc.commands.selecting import NAMES, SELECTING, selected
from pydoit_sc.errors import on_a_line
from pydoit_sc.selection import parse_selection
from pydoit_sc.store import Outputs, TakenError, UnreadableError
from pydoit_sc.store.digests import digest
from pydoit_sc.store.manifest import fault
from pydoit_sc.tasks.loader import BATCH_OPTIONS, open_project


class VerifyCommand(Command):
    """Compare the files of finished runs with their `run.json`."""

    name = "verify"
    doc_usage = NAMES
    doc_description = (
        "A finished run is whole if the files beside its status_code are those that its run.json lists, with their "
        "sizes and the MD5s of their contents. Without --read no file but the small ones is read: then contents are "
        "compared only where a listing shows their MD5, which is so on object stores, and elsewhere sizes alone. "
        "Outputs that `sc` has written have no run.json, and cannot be verified.\n"
        "\n"
        "What is closed to you is told, and is not repaired: nobody can say whether it is whole.\n"
        "\n"
        "Exit code: 0 if every finished run is whole, 1 if one is not, or cannot be read."
    )
    cmd_options = (
        *BATCH_OPTIONS,
        *SELECTING,
        flag(
            "read",
            "also read the files whose MD5 no listing shows: all on a file system; those sent in parts elsewhere",
        ),
        json_option("a list of the runs that are not whole, or cannot be read, with name, fault and repair"),
        flag("repair", "make runs that are not whole incomplete; what is there goes to the history"),
    )

    def call(self, options: dict[str, Any], words: list[str]) -> int:
        """Print a line for every run that is not whole, and return the exit code."""
        project = open_project(options)
        chosen = selected(project, options, words)
        if chosen is None:
            chosen = list(project.batch.runs())
        names = {run.key: stage.task_name(run) for stage, run in chosen}
        store = project.store
        whole, broken, unknown, by_size = 0, 0, 0, 0
        told: list[dict[str, str]] = []

        def tell(key: str, wrong: str, repair: str = "") -> None:
            told.append({"name": names[key], "fault": wrong, "repair": repair})
            if not options["as_json"]:
                print(on_a_line("; ".join(filter(None, (f"{names[key]}: {wrong}", repair)))))

        for key, found in store.contents(names, tell):
            unread: list[str] = []
            read = _reader(store, key) if options["read"] else unread.append
            try:
                wrong = fault(found, read)
                if wrong:  # a worker may have replaced it since it was listed, or while it was read
                    now = dict(store.contents([key])).get(key)
                    if now is None:
                        continue
                    wrong = fault(now, read)
            except UnreadableError as error:
                tell(key, str(error))
                continue
            whole, broken, unknown = whole + (wrong == ""), broken + bool(wrong), unknown + (wrong is None)
            by_size += bool(unread)
            if wrong:
                tell(key, wrong, _repair(store, key, read) if options["repair"] else "")
        if options["as_json"]:
            print(json.dumps(told, indent=1))
        _tell(
            {"whole": whole, "not whole": broken, "without a run.json that lists its files": unknown},
            len(told) - broken,
            len(names),
        )
        if by_size:
            print(
                f"{by_size:,} of them have files that were compared by size alone; `--read` compares their contents",
                file=sys.stderr,
            )
        if broken and not options["repair"]:
            # Without --read contents are not compared, and so nothing would be repaired.
            how = ("--read", "--repair") if options["read"] else ("--repair",)
            again = project.command("verify", *how, parse_selection(options, words).text)
            print(f"`{again}` makes runs that are not whole incomplete", file=sys.stderr)
        return int(bool(told))


def _reader(store: Outputs, key: str) -> Callable[[str], str]:
    def read(name: str) -> str:
        try:
            with store.open(key, name) as file:
                return digest(file)[1]
        except FileNotFoundError:
            return "gone meanwhile"

    return read


def _repair(store: Outputs, key: str, read: Callable[[str], str | None]) -> str:
    """Make a run incomplete if it is not whole now either: a worker may have replaced it since it was listed."""
    try:
        found = dict(store.contents([key])).get(key)
        if found is None or not fault(found, read):
            return "it has changed meanwhile, and is left"
        return "now incomplete" if store.forget(key) else ""
    except (TakenError, UnreadableError) as error:
        return f"not repaired: {error}"


def _tell(counts: Mapping[str, int], closed: int, total: int) -> None:
    """Print how many runs of all are finished, and how these are; `closed`: how many cannot be read."""
    shown = [f"{count:,} {word}" for word, count in counts.items() if count]
    print(
        f"{sum(counts.values()):,} of {total:,} runs are finished"
        + (f": {', '.join(shown)}" if shown else "")
        + (f"; {closed:,} cannot be read" if closed else ""),
        file=sys.stderr,
    )
