"""Plain lists of runs: `[[runs]]`, `runs_from`, and the seed's run lists and chunks."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain
from typing import Any

from pydoit_sc.batch import PLAIN, Settings, Stage
from pydoit_sc.batchfile.check import check, check_slots
from pydoit_sc.batchfile.errors import Where, show
from pydoit_sc.batchfile.fields import command_fault
from pydoit_sc.batchfile.names import check_name, nested, repeated
from pydoit_sc.batchfile.plainlist import short_name, told_apart
from pydoit_sc.batchfile.remote import below, expanded
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.batchfile.runtables import ListedRun, RunTable
from pydoit_sc.made import Befores, MadeRuns, Packing, Picked

#: The keys of a run that are its own: all others are settings, which many runs share.
_OWN = {"cmd", "name", "remote_output_path", "local_results_dir", "status_code", "status"}
_PATHS = ("remote_output_path", "local_results_dir")
_NOT_IN_CSV = ("env", "file_dep", "retry_on")


def listed_items(notes: Notes, names: str | None = None) -> tuple[Iterable[Any], Where]:
    """Return the runs of a run list and their place in the document; `names` is the column of a CSV file that has their names.

    It may be found only while they are read that the file has another fault, which raises BatchfileError.
    """
    document = notes.document
    data = document.data
    if document.format == "csv":
        return _csv_items(notes, names), ()
    if isinstance(data, (list, Iterator)):
        return data, ()
    if not isinstance(data, dict):
        notes.add((), f"expected a list of runs, or a table with `runs`; found {show(data)}")
        return (), ()
    runs = data.get("runs")
    if isinstance(runs, (list, Iterator)):
        return runs, ("runs",)
    if "runs" in data:
        notes.add(("runs",), f"expected a list of runs, found {show(runs)}")
    else:
        notes.add((), "no `runs`; expected a list of runs")
    return (), ("runs",)


def _csv_items(notes: Notes, names: str | None) -> Iterable[dict[str, Any]]:
    rows: Iterator[dict[str, str]] = notes.document.data
    first = next(rows, None)
    if first is None:
        return ()
    rows = chain([first], rows)
    if names is not None:
        if names not in first:
            notes.unknown((), f"no column `{names}`, which `--names` wants", names, first)
            return ()
        first = _with_name(first, names)
        rows = (_with_name(row, names) for row in rows)
    known = [key for key in ListedRun.model_fields if key not in _NOT_IN_CSV]
    unknown = [column for column in first if column not in known]
    for column in unknown:
        notes.unknown((), f"unknown column `{column[:60]}`", column, known)
    if "cmd" not in first:
        notes.add((), "no column `cmd` in the header row")
        return ()
    wanted = {"cmd"} if names is None else {"cmd", "name"}
    return () if unknown else (_csv_item(row, wanted) for row in rows)


def _with_name(row: dict[str, str], names: str) -> dict[str, str]:
    """Return a row with its name in the column `name`, and its command in `cmd`: the last column, where none is called so."""
    rest = {column: cell for column, cell in row.items() if column not in ("name", names)}
    if "cmd" not in rest and rest:
        *_, last = rest
        rest["cmd"] = rest.pop(last)
    return {"name": row[names], **rest}


def _csv_item(row: dict[str, str], wanted: Set[str]) -> dict[str, Any]:
    item: dict[str, Any] = {key: cell for key, cell in row.items() if cell or key in wanted}
    for key in ("retries", "slots"):
        if item.get(key, "").strip().isdecimal():
            item[key] = int(item[key][:20])
    return item


def _is_sound(own: Mapping[str, object]) -> bool:
    """Return whether a run's own keys are sound, where that shows quickly; the model decides about the others."""
    cmd, name = own.get("cmd"), own.get("name")
    return (
        isinstance(cmd, str)
        and command_fault(cmd) is None
        and (name is None or check_name(name) is None)
        and (own.keys().isdisjoint(_PATHS) or all(_is_path(own.get(key)) for key in _PATHS))
    )


def _is_path(path: object) -> bool:
    return path is None or (isinstance(path, str) and bool(path.strip()) and path.isprintable())


def _repr(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # thousands of digits, or lists in lists: no key takes them
        return ""


class RunReader:
    """Reads the runs of one list. There may be a million: texts are packed, and runs with the same settings share one value."""

    def __init__(
        self, model: type[RunTable], settings: Settings, notes: Notes, where: Where, remote: str | None
    ) -> None:
        self._model = model
        self._keys = model.model_fields.keys()
        self._takes_commands = model is ListedRun
        self._settings = [settings]  # the list's own, and then each that runs of it have
        self._shared: dict[str, int] = {}  # their positions there, by what they were read from
        self._notes = notes
        self._where = where
        self._remote = remote  # the batch's; None if it could not be read
        self._named = True
        self._nprocs: object = None
        self._folder = ""  # relative paths count from there
        # Of each run that is sound, in columns:
        self._names, self._cmds, self._results_dirs = Packing(), Packing(), Packing()
        self._settings_of = array("I")
        self._items = array("I")  # its position in the list
        self._is_short = bytearray()  # 1: it is a command alone

    def read(self, items: Iterable[Any], folder: str, nprocs: object) -> Stage:
        """Return the stage of these runs; what is wrong is noted. Relative paths count from `folder`."""
        self._nprocs, self._folder = nprocs, folder
        for i, item in enumerate(items):
            if self._takes_commands and isinstance(item, str):
                self._read(i, {"cmd": item, "name": short_name(item)}, is_short=True)
            else:
                self._read(i, item)
        cmds, count = self._cmds.packed(), len(self._items)
        names = told_apart(self._names.packed(), cmds, self._is_short)
        self._check_names(names)
        runs = MadeRuns(
            PLAIN,
            names,
            cmds,
            Picked(self._settings, self._settings_of),
            Befores((), (), count),
            range(count),
            self._results_dirs.packed(),
        )
        return Stage(PLAIN, runs, named=self._named)

    def _read(self, i: int, item: object, *, is_short: bool = False) -> None:
        """Read a run; one that is plainly sound needs no model: there may be a million."""
        if not isinstance(item, dict):
            check(self._model, item, self._notes, (*self._where, i))
            return
        given = item
        if None in item.values():  # `sc` writes null
            given = {key: value for key, value in item.items() if value is not None}
        own = given.keys() <= _OWN
        rest = {} if own else {key: value for key, value in given.items() if key not in _OWN}
        word = _repr(rest) if rest else ""
        settings = self._shared.get(word) if rest else 0
        if settings is None or not (given.keys() <= self._keys and _is_sound(given)):
            settings = self._checked(i, given, word)
            if settings is None:
                return
        self._names.add(self._name(i, given))
        self._cmds.add(given["cmd"])
        self._results_dirs.add(given.get("local_results_dir", ""))
        self._settings_of.append(settings)
        self._items.append(i)
        self._is_short.append(is_short)

    def _checked(self, i: int, given: Mapping[str, Any], word: str) -> int | None:
        """Return the position of the settings of a run that the model takes, else None; `word` is what tells them."""
        table = check(self._model, given, self._notes, (*self._where, i))
        if table is None:
            return None
        check_slots(given, self._nprocs, self._notes, (*self._where, i))
        if not word:
            return 0
        if word not in self._shared:
            self._shared[word] = len(self._settings)
            self._settings.append(table.over(self._settings[0]))
        return self._shared[word]

    def _name(self, i: int, given: Mapping[str, str]) -> str:
        name, path = given.get("name"), given.get("remote_output_path")
        if path is not None:
            return self._name_of_path(i, path, name)
        if name is None:
            self._named = False
            return str(i)
        return name

    def _note(self, i: int, key: str, message: str) -> None:
        self._notes.add((*self._where, i, key), message)

    def _name_of_path(self, i: int, path: str, name: str | None) -> str:
        """Return the name that a run has by its own output path, which lies below the batch's; "" where it does not."""
        try:
            path = expanded(path) if "$" in path else path
            own = (
                path.strip("/").rpartition("/")[2]
                if self._remote is None
                else below(path, self._remote, self._folder)
            )
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

    def _check_names(self, names: Sequence[str]) -> None:
        at = self._items
        for name, rows in repeated(names).items():
            if not name:
                continue  # their paths have been noted
            others = len(rows) - 2
            more = f" (and {others:,} {'run' if others == 1 else 'runs'} more)" if others else ""
            message = f"`{name}` is twice the name, and so the output path, of a run{more}; the first is"
            self._notes.add((*self._where, at[rows[1]], "name"), message, also=(*self._where, at[rows[0]]))
        for inner, outer in nested(names):
            message = f"the output of `{names[inner]}` would lie inside that of `{names[outer]}`,"
            self._notes.add((*self._where, at[inner], "name"), message, also=(*self._where, at[outer]))
