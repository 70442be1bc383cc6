"""doit's own commands, over runs: `list`, `info`, `clean`, `forget`, `ignore`."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from io import StringIO
from string import Formatter
from typing import Any

from doit.cmd_clean import Clean as DoitClean
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList
from doit.exceptions import InvalidCommand, InvalidDodoFile

from pydoit_sc.batch import Status
from pydoit_sc.commands.asking import agreed, is_answered
from pydoit_sc.commands.parsing import OptionsAnywhere, flag, json_option
from pydoit_sc.commands.selecting import NAMES, OR_OPTIONS, SELECTING, SOME_NAMES, Selecting
from pydoit_sc.errors import on_a_line
from pydoit_sc.plurals import counted
from pydoit_sc.project import Project
from pydoit_sc.selection import Selection, are_statuses, parse_selection
from pydoit_sc.show.rows import write_json
from pydoit_sc.store import TakenError
from pydoit_sc.tasks.changing import change_each, look_at_each
from pydoit_sc.tasks.dependency import BatchDependency
from pydoit_sc.tasks.errors import user_errors
from pydoit_sc.tasks.listing import Part, in_turn
from pydoit_sc.tasks.loader import open_project
from pydoit_sc.tasks.tasks import RunTask

_SOME_LEFT, _NOTHING_DONE = 2, 3  # exit codes


class _Leaving(Selecting):
    """A command that goes on with the others where something else has taken a run's place, and tells of it by its exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._left = set[str]()

    def leave(self, task: str, error: Exception) -> None:
        """Tell that a run is left as it is."""
        sys.stderr.write(f"ERROR: {on_a_line(f'{task}: {error}')}\n")
        self._left.add(task)

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the command; called by doit."""
        code = super().execute(params, args)
        return _SOME_LEFT if self._left else code


#: What our `list` says of options of doit's.
_LIST_OPTIONS: dict[str, dict[str, Any]] = {
    "status": {"long": ""},  # which is one of ours
    "list_deps": {"help": "also the `file_dep` of each run, as patterns where they are some"},
    "template": {"help": "each in this form, with {name}, {doc}, and with -s {status}"},
}
_NOT_WITH_JSON = {"list_deps": "--deps", "template": "--template", "quiet": "--quiet"}


class ListCommand(Selecting, DoitList):  # type: ignore[misc]
    """doit's `list`."""

    name = "list"
    doc_usage = NAMES
    doc_description = (
        "With options that say which runs: these. -s shows whether they are up to date, and so does --status where "
        "no status follows it."
    )
    cmd_options = (
        *SELECTING,
        *({**one, **_LIST_OPTIONS.get(one["name"], {})} for one in DoitList.cmd_options),
        json_option(
            "a list, with name, doc, and with -s the status in doit's words: up-to-date, run, ignore, error"
        ),
    )
    parts: Sequence[Part] | None = None  # what to show, from our loader; None for tasks of a submission

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the command; runs that options have selected stay in their order, the slowest first."""
        others = [said for name, said in _NOT_WITH_JSON.items() if name in self.given]
        if params["as_json"] and others:
            raise InvalidCommand(f"expected one form, found --json and {others[0]}")
        if params["slowest"]:
            params["sort"] = "definition"
        self._as_json = params["as_json"]
        return super().execute(params, args)

    def answer(self, params: Any, text: str) -> int:
        """Tell that nothing matches; to a program by a list without runs."""
        if not params["as_json"]:
            return super().answer(params, text)
        print("[]")
        print(text, file=sys.stderr)
        return 0

    def _execute(  # noqa: PLR0913 - doit's, which looks at the names
        self,
        *,
        subtasks: bool,
        quiet: bool,
        status: bool,
        private: bool,  # noqa: ARG002 - no name of ours begins so
        list_deps: bool,
        template: str | None,
        sort: str,
        pos_args: list[str],
    ) -> int:
        """Print the tasks, each of which is made for that."""
        known, by_name = {task.name: task for task in self.task_list}, sort == "name"
        if self.parts is None:
            found = self._list_filtered(known, pos_args, subtasks)
            tasks: Iterable[Any] = sorted(found) if by_name else found
            names: Iterable[str] = [task.name for task in found]
        else:
            tasks = in_turn(self.loader.project, self.parts, by_name=by_name)
            names = (name for part in self.parts for name in part.names())
        if self._as_json:
            columns = ("name", "doc", *(("status",) if status else ()))
            rows = ([task.name, task.doc, *([self._status(task, known)] if status else ())] for task in tasks)
            write_json(self.outstream, columns, rows)
            return 0
        width = max(map(len, names), default=0) + 3
        line = template or f"{'{status} ' * status}{{name:<{width}}}{'' if quiet else '{doc}'}"
        _check_template(line, ("name", "doc", *(("status",) if status else ())))
        for task in tasks:
            self._print_task(f"{line}\n", task, status, False, known)
            if list_deps:
                deps = task.run.settings.file_dep if isinstance(task, RunTask) else task.file_dep
                self.outstream.writelines(f" -  {dep}\n" for dep in deps)
                self.outstream.write("\n")
        return 0

    def _status(self, task: Any, tasks: Any) -> str:
        ignored = self.dep_manager.status_is_ignore(task)
        return "ignore" if ignored else str(self.dep_manager.get_status(task, tasks).status)

    def parse_execute(self, in_args: list[str]) -> Any:
        """Run the command; called by doit. A `--status` without one is doit's `-s`."""
        words = list(zip(in_args, [*in_args[1:], ""], strict=False))
        names = {behind for word, behind in words if word == "--status" and not are_statuses(behind)}
        try:
            return super().parse_execute(
                ["-s" if word == "--status" and behind in names else word for word, behind in words]
            )
        except InvalidDodoFile as error:
            # It may have been meant as a status.
            if any(f"is named `{name}`" in str(error) for name in names):
                raise InvalidDodoFile(f"{error}; the statuses are {', '.join(Status)}") from error
            raise


def _check_template(line: str, fields: Sequence[str]) -> None:
    """Raise InvalidCommand for a template that these fields do not fill."""
    if not _is_filled(line, fields):
        known = ", ".join(f"{{{field}}}" for field in fields)
        more = "" if "status" in fields else ", and with -s {status}"
        raise InvalidCommand(f"--template: expected {known}{more}, found `{line}`")


def _is_filled(line: str, fields: Sequence[str]) -> bool:
    """Return whether these fields fill a template; it has none of their attributes, which are Python's own."""
    try:
        line.format(**dict.fromkeys(fields, "text"))
    except (KeyError, IndexError, ValueError, AttributeError, TypeError, MemoryError):
        return False
    return all(field is None or field in fields for _, field, _, _ in Formatter().parse(line))


class InfoCommand(OptionsAnywhere, DoitInfo):  # type: ignore[misc]
    """doit's `info`, with the reason in plain words."""

    name = "info"
    doc_usage = "[BATCH] RUN"
    doc_description = (
        "Its status is `run` if it would execute, as `plan` says, with exit code 1; else `up-to-date`, or `ignore` for what "
        "`ignore` leaves out."
    )

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> int:
        """Print what is known of the task, whose status is that of the plan."""
        task = next((task for task in self.task_list if [task.name] == pos_args), None)
        if hide_status or not isinstance(task, RunTask) or not task.planned.verdict.ignored:
            return int(super()._execute(pos_args, hide_status))
        known = self.dep_manager.get_status

        def get_status(*args: Any, **options: Any) -> Any:
            found = known(*args, **options)
            found.status = "ignore"
            return found

        self.dep_manager.get_status = get_status
        super()._execute(pos_args, hide_status)
        return 0

    @staticmethod
    def get_reasons(reasons: Any) -> str:
        """Return why a task is not up to date: the plan's reason, or doit's own."""
        said = [f" * {check!r}" for check, _, _ in reasons["uptodate_false"] or ()]
        return "\n".join(said) or str(DoitInfo.get_reasons(reasons))


class CleanCommand(_Leaving, DoitClean):  # type: ignore[misc]
    """doit's `clean`."""

    name = "clean"
    doc_usage = NAMES
    cmd_options = (
        *SELECTING,
        flag("all", "the whole batch, without asking; also -a"),
        *DoitClean.cmd_options,
    )
    doc_description = (
        "The history of the runs goes, too. Without names it is the whole batch: a terminal asks, elsewhere --all says so.\n"
        "\n"
        "`--status orphaned` means the outputs that no run of the batch has any more. Another batch may write to the same "
        "folder: so a terminal asks, and elsewhere --all says that they are all meant.\n"
        "\n"
        "What lies in a run's place and is no run's output, or is closed to you, is left as it is; the exit code is then 2."
    )

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the command; ask before it removes everything, where somebody can answer."""
        params["cleanall"] = params["cleanall"] or params["all"]
        with user_errors():
            selection = parse_selection(params, args)
            if selection._replace(said="") == Selection(statuses=frozenset({Status.ORPHANED})):
                return self._clean_orphans(
                    open_project(params), all_=params["cleanall"], dryrun=params["dryrun"]
                )
            said = params["cleanall"] or params["dryrun"] or bool(selection)
        if not said and is_answered():
            if not agreed("remove all outputs of the batch, and their history?"):
                return _NOTHING_DONE
            params["cleanall"] = True
        return super().execute(params, args)

    def _clean_orphans(self, project: Project, *, all_: bool, dryrun: bool) -> int:
        orphans = project.orphans()
        if not orphans:
            self.outstream.write("no output matches --status orphaned: each has its run in the batch\n")
        elif not (all_ or dryrun):
            what = f"{counted(len(orphans), 'output')} that no run of the batch has"
            if not is_answered():
                raise InvalidCommand(f"clean: {what}: --all removes them, --dry-run shows them")
            if not agreed(f"remove {what}, and their history?"):
                return _NOTHING_DONE
        ends = change_each(project.store, project.store.remove, {key: key for key in orphans})
        for key, found in ((key, True) for key in orphans) if dryrun else ends:
            if isinstance(found, TakenError):
                self.leave(key, found)
            elif found:
                self.outstream.write(f"removing {on_a_line(f'{project.batch.remote_output_path}/{key}')}\n")
        return _SOME_LEFT if self._left else 0

    def clean_tasks(self, tasks: Any, dryrun: bool, cleanforget: bool) -> None:
        """Clean each task, of runs some at once; go on after one whose place something else takes."""
        runs = {task.name: task for task in tasks if isinstance(task, RunTask)}
        if runs:
            self._clean_runs(runs, dryrun=dryrun, forget=cleanforget)
        super().clean_tasks([task for task in tasks if task.name not in runs], dryrun, cleanforget)

    def _clean_runs(self, runs: Mapping[str, RunTask], *, dryrun: bool, forget: bool) -> None:
        keys = {name: task.run.key for name, task in runs.items()}
        with user_errors():
            store = next(iter(runs.values())).project.store
            for name, found in (
                look_at_each(store, keys) if dryrun else change_each(store, store.remove, keys)
            ):
                if isinstance(found, TakenError):
                    self.leave(name, found)
                    continue
                if found:
                    self.outstream.write(runs[name].removing)
                if forget and not dryrun:
                    self.dep_manager.remove(name)


class ForgetCommand(_Leaving, DoitForget):  # type: ignore[misc]
    """doit's `forget`."""

    name = "forget"
    doc_usage = f"{SOME_NAMES[:-1]} | --all)"
    cmd_options = (*SELECTING, *DoitForget.cmd_options)
    doc_description = (
        f"--all for the whole batch. {OR_OPTIONS} What is ignored stays ignored: `ignore --undo` takes that back.\n"
        "\n"
        "What lies in a run's place and is no run's output, or is closed to you, is left as it is; the exit code is then 2."
    )

    outstream: Any

    def _execute(self, forget_sub: bool, forget_disable_default: bool, forget_all: bool) -> None:
        """Forget, and tell of it at the end: doit tells before it is done."""
        out, self.outstream = self.outstream, StringIO()
        super()._execute(forget_sub, forget_disable_default, forget_all)
        out.writelines(_without(self._left, self.outstream.getvalue().splitlines(keepends=True)))


def _without(left: Collection[str], lines: Iterable[str]) -> Iterator[str]:
    """Yield doit's lines but for those of runs that are left, and of stages of which all are.

    >>> lines = [f"forgetting {name}" for name in ("a", "a:1", "a:2", "b", "b:1", "c")]
    >>> list(_without({"a:1", "b:1", "c"}, lines))
    ['forgetting a', 'forgetting a:2']
    """
    stages = {name.partition(":")[0] for name in left}
    held = ""  # the line of a stage, until one of its runs follows
    for line in lines:
        name = line.removeprefix("forgetting ").rstrip("\n")
        if name in left:
            continue
        if name in stages:
            held = line
            continue
        if held and name.partition(":")[0] == held.removeprefix("forgetting ").rstrip("\n"):
            yield held
            held = ""
        yield line


class IgnoreCommand(Selecting, DoitIgnore):  # type: ignore[misc]
    """doit's `ignore`."""

    name = "ignore"
    doc_usage = SOME_NAMES
    cmd_options = (
        *SELECTING,
        flag("undo", "ignore them no longer, and keep their outcomes; nothing else undoes `ignore`"),
        *DoitIgnore.cmd_options,
    )
    doc_description = (
        "Nothing executes or submits them, but `batch`, which executes what its chunk names. A stage that comes after them does "
        "not wait for them.\n"
        "\n"
        "It is said of the outputs of this batch, in .pydoit_sc.ignored.json beside its file; of a run that a list knows by its "
        "position it is said of its command, too, wherever that is moved.\n"
        "\n"
        f"{OR_OPTIONS}"
    )

    outstream: Any

    def _execute(self, pos_args: list[str], undo: bool) -> None:
        """Ignore, or no longer, and tell of it at the end: doit tells before it is done."""
        out, self.outstream = self.outstream, StringIO()
        ignored: Set[str] = frozenset()
        if undo:
            if not isinstance(self.dep_manager, BatchDependency):
                raise InvalidCommand("ignore: --undo is for the tasks of a batch, and there is none here")
            ignored = self.dep_manager.begin_undoing()
        super()._execute(pos_args)
        told = self.outstream.getvalue()
        if undo:
            names = [name for name in told.replace("ignoring ", "").splitlines() if name in ignored]
            told = "".join(f"no longer ignored: {name}\n" for name in names) or "nothing of that is ignored\n"
        out.write(told)
