"""Plain lists of runs: `[[runs]]`, `runs_from`, and the seed's run lists and chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydoit_sc.batch import PLAIN, Run, Settings, Stage
from pydoit_sc.batchfile.names import check_name, nested, repeated
from pydoit_sc.batchfile.places import Where
from pydoit_sc.batchfile.remote import absolute_url
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.batchfile.schema import (
    SETTINGS,
    Checker,
    InvalidError,
    anything,
    check_table,
    command,
    command_fault,
    show,
    string,
    strings,
)
from pydoit_sc.batchfile.stages import merged


def _no_stage(_: object) -> object:
    raise InvalidError(((), "makes no sense in a plain list of runs; write stages, [runs.NAME]"))


#: The keys of a run in a batchfile, `[[runs]]`.
RUN: dict[str, Checker] = {"cmd": command, "name": string, "file_dep": strings, **SETTINGS}

#: The keys of a run in a run list; `sc` writes the last four.
LISTED: dict[str, Checker] = {
    **RUN,
    "remote_output_path": string,
    "local_results_dir": string,
    "status_code": anything,
    "status": anything,
}

_STAGE_ONLY: dict[str, Checker] = {"after": _no_stage, "matrix": _no_stage}
_READ_HERE = frozenset(("cmd", "name", "remote_output_path", "local_results_dir", "status_code", "status"))
_NOT_IN_CSV = ("env", "file_dep", "retry_on")


def listed_items(notes: Notes) -> tuple[list[Any], Where]:
    """Return a run list's runs and where they stand in the document."""
    document = notes.document
    if document.format == "csv":
        return _csv_items(notes), ()
    if isinstance(document.data, list):
        return document.data, ()
    if not isinstance(document.data, dict):
        notes.add((), f"expected a list of runs, or a table with `runs`; found {show(document.data)}")
        return [], ()
    runs = document.data.get("runs")
    if isinstance(runs, list):
        return runs, ("runs",)
    if "runs" in document.data:
        notes.add(("runs",), f"expected a list of runs, found {show(runs)}")
    else:
        notes.add((), "no `runs`; expected a list of runs")
    return [], ("runs",)


def _csv_items(notes: Notes) -> list[dict[str, Any]]:
    rows: list[dict[str, str]] = notes.document.data
    columns = rows[0].keys() if rows else ()
    known = [key for key in LISTED if key not in _NOT_IN_CSV]
    unknown = [column for column in columns if column not in known]
    for column in unknown:
        notes.unknown((), f"unknown column `{column[:60]}`", column, known)
    if rows and "cmd" not in columns:
        notes.add((), "no column `cmd` in the header row")
        return []
    return [] if unknown else [_csv_item(row) for row in rows]


def _csv_item(row: dict[str, str]) -> dict[str, Any]:
    item: dict[str, Any] = {key: cell for key, cell in row.items() if cell or key == "cmd"}
    if item.get("retries", "").strip().isdecimal():
        item["retries"] = int(item["retries"][:20])
    return item


class RunReader:
    """Reads the runs of one list. There may be a million: settings are checked once for all that give the same."""

    def __init__(
        self,
        fields: Mapping[str, Checker],
        settings: Settings,
        notes: Notes,
        where: Where,
        remote: str | None,
    ) -> None:
        self._fields = {**fields, **_STAGE_ONLY}
        self._simple = _READ_HERE & fields.keys()
        self._settings = settings
        self._shared: dict[str, Settings] = {}
        self._notes = notes
        self._where = where
        self._remote = remote  # the batch's; None if it could not be read
        self._named = True

    def read(self, items: list[Any], folder: str) -> Stage:
        """Return the stage of these runs; what is wrong is noted. Relative paths count from `folder`."""
        runs, positions = [], []
        for i, item in enumerate(items):
            if not isinstance(item, dict):
                self._notes.add((*self._where, i), f"expected a run (a table with `cmd`), found {show(item)}")
            elif (run := self._run(i, item, folder)) is not None:
                runs.append(run)
                positions.append(i)
        self._check_names([run.name for run in runs], positions)
        return Stage(PLAIN, runs, named=self._named)

    def _run(self, i: int, item: Mapping[Any, Any], folder: str) -> Run | None:
        problems = self._notes.report.count
        settings = self._settings if item.keys() <= self._simple else self._own_settings(i, item)
        cmd = item.get("cmd")
        if not isinstance(cmd, str):
            message = "no `cmd`" if cmd is None else f"expected a command (a string), found {show(cmd)}"
            self._note(i, "cmd", message)
        elif (fault := command_fault(cmd)) is not None:
            self._note(i, "cmd", fault)
        name = self._name(i, item, folder)
        results = item.get("local_results_dir")
        if results is not None and not isinstance(results, str):
            self._note(i, "local_results_dir", f"expected a string, found {show(results)}")
        if self._notes.report.count > problems:
            return None
        return Run(name, str(cmd), name, settings, results)

    def _note(self, i: int, key: str, message: str) -> None:
        self._notes.add((*self._where, i, key), message)

    def _own_settings(self, i: int, item: Mapping[Any, Any]) -> Settings:
        given = {key: value for key, value in item.items() if key not in self._simple and value is not None}
        try:
            word = repr(given)
        except (
            ValueError,
            RecursionError,
        ):  # an integer of thousands of digits, or lists in lists: no key takes them
            word = ""
        if word in self._shared:
            return self._shared[word]
        problems = self._notes.report.count
        checked = check_table(given, self._fields, self._notes, (*self._where, i))
        settings = merged(self._settings, checked)
        if self._notes.report.count == problems:
            self._shared[word] = settings
        return settings

    def _name(self, i: int, item: Mapping[Any, Any], folder: str) -> str:
        name, path = item.get("name"), item.get("remote_output_path")
        if path is not None and "remote_output_path" in self._simple:
            return self._name_of_path(i, path, name, folder)
        if name is None:
            self._named = False
            return str(i)
        if (reason := check_name(name)) is not None:
            self._note(i, "name", f"{reason}, found {show(name)}")
        return str(name)

    def _name_of_path(self, i: int, path: object, name: object, folder: str) -> str:
        """Return the name that a run has by its own output path, which lies below the batch's."""
        try:
            own = self._below(path, folder)
        except ValueError as error:
            self._note(i, "remote_output_path", str(error))
            return ""
        if (reason := check_name(own)) is not None:
            self._note(i, "remote_output_path", f"{reason}, found {show(own)}")
        elif name is not None and name != own:
            self._note(
                i, "name", f"the run's `remote_output_path` gives it the name `{own}`, found {show(name)}"
            )
        return own

    def _below(self, path: object, folder: str) -> str:
        if not isinstance(path, str):
            raise ValueError(f"expected a string, found {show(path)}")
        if self._remote is None:
            return path.strip("/").rpartition("/")[2]
        above = self._remote + "/"
        if not path.startswith(above):
            path = absolute_url(path, folder)
        if not path.startswith(above):
            raise ValueError(f"expected a path below the batch's, `{self._remote}`, found `{path}`")
        return path[len(above) :].rstrip("/")

    def _check_names(self, names: list[str], positions: list[int]) -> None:
        for name, rows in repeated(names).items():
            first, second = positions[rows[0]], positions[rows[1]]
            more = f" (and {len(rows) - 2:,} runs more)" if len(rows) > 2 else ""
            message = f"`{name}` is twice the name, and so the output path, of a run{more}; the first is"
            self._notes.add((*self._where, second, "name"), message, also=(*self._where, first))
        for inner, outer in nested(names):
            message = f"the output of `{names[inner]}` would lie inside that of `{names[outer]}`,"
            where = (*self._where, positions[inner], "name")
            self._notes.add(where, message, also=(*self._where, positions[outer]))
