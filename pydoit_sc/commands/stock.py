"""doit's own commands, over runs: `list`, `info`, `clean`, `forget`, `ignore`."""

from __future__ import annotations

import json
import sys
from typing import Any

from doit.cmd_clean import Clean as DoitClean
from doit.cmd_forget import Forget as DoitForget
from doit.cmd_ignore import Ignore as DoitIgnore
from doit.cmd_info import Info as DoitInfo
from doit.cmd_list import List as DoitList

from pydoit_sc.commands.asking import agreed, is_answered
from pydoit_sc.commands.parsing import OptionsAnywhere, flag, json_option
from pydoit_sc.commands.selecting import NAMES, SELECTING, Selecting
from pydoit_sc.selection import are_statuses, parse_selection
from pydoit_sc.tasks.changing import change_each
from pydoit_sc.tasks.errors import user_errors
from pydoit_sc.tasks.tasks import RunTask

_SOME_LEFT, _NOTHING_DONE = 2, 3  # exit codes


class _Leaving(Selecting):
    """A command that goes on with the others where something else has taken a run's place, and tells of it by its exit code."""

    _left = 0

    def leave(self, task: str, error: Exception) -> None:
        """Tell that a run is left as it is."""
        sys.stderr.write(f"ERROR: {task}: {error}\n")
        self._left += 1

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the command; called by doit."""
        code = super().execute(params, args)
        return _SOME_LEFT if self._left else code


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
        *({**one, "long": ""} if one["name"] == "status" else one for one in DoitList.cmd_options),
        json_option(
            "a list, with name, doc, and with -s the status in doit's words: up-to-date, run, ignore, error"
        ),
    )
    _listed: list[dict[str, str]] | None = None  # for JSON

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the command; runs that options have selected stay in their order, the slowest first."""
        if params["slowest"]:
            params["sort"] = "definition"
        self._listed = [] if params["as_json"] else None
        code = super().execute(params, args)
        if self._listed is not None:
            self.outstream.write(f"{json.dumps(self._listed, indent=1)}\n")
        return code

    def answer(self, params: Any, text: str) -> int:
        """Tell that nothing matches; to a program by a list without runs."""
        if not params["as_json"]:
            return super().answer(params, text)
        print(text, file=sys.stderr)
        return 0

    def _print_task(self, template: str, task: Any, status: bool, list_deps: bool, tasks: Any) -> None:
        """Print a task, or keep it for JSON."""
        if self._listed is None:
            super()._print_task(template, task, status, list_deps, tasks)
            return
        one = {"name": task.name, "doc": task.doc}
        if status:
            is_ignored = self.dep_manager.status_is_ignore(task)
            one["status"] = "ignore" if is_ignored else self.dep_manager.get_status(task, tasks).status
        self._listed.append(one)

    def parse_execute(self, in_args: list[str]) -> Any:
        """Run the command; called by doit. A `--status` without one is doit's `-s`."""
        words = zip(in_args, [*in_args[1:], ""], strict=False)
        return super().parse_execute(
            ["-s" if word == "--status" and not are_statuses(behind) else word for word, behind in words]
        )


class InfoCommand(OptionsAnywhere, DoitInfo):  # type: ignore[misc]
    """doit's `info`, with the reason in plain words."""

    name = "info"
    doc_usage = "[BATCH] RUN"
    doc_description = "The exit code is 1 if it would execute."

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
        "What lies in a run's place and is no run's output is left as it is; the exit code is then 2."
    )

    def execute(self, params: Any, args: list[str]) -> Any:
        """Run the command; ask before it removes everything, where somebody can answer."""
        params["cleanall"] = params["cleanall"] or params["all"]
        with user_errors():
            said = params["cleanall"] or params["dryrun"] or bool(parse_selection(params, args))
        if not said and is_answered():
            if not agreed("remove all outputs of the batch, and their history?"):
                return _NOTHING_DONE
            params["cleanall"] = True
        return super().execute(params, args)

    def clean_tasks(self, tasks: Any, dryrun: bool, cleanforget: bool) -> None:
        """Clean each task; go on after one whose place something else takes."""
        runs = {task.name: task for task in tasks if isinstance(task, RunTask)}
        for task in runs.values():
            task.clean(self.outstream, dryrun=True)  # says what is removed below, some at once
            if cleanforget and not dryrun:
                self.dep_manager.remove(task.name)
        super().clean_tasks([task for task in tasks if task.name not in runs], dryrun, cleanforget)
        if runs and not dryrun:
            store = next(iter(runs.values())).project.store
            with user_errors():
                for name, error in change_each(store, store.remove, {n: t.run.key for n, t in runs.items()}):
                    self.leave(name, error)


class ForgetCommand(_Leaving, DoitForget):  # type: ignore[misc]
    """doit's `forget`."""

    name = "forget"
    doc_usage = NAMES
    cmd_options = (*SELECTING, *DoitForget.cmd_options)
    doc_description = (
        "--all for the whole batch.\n"
        "\n"
        "What lies in a run's place and is no run's output is left as it is; the exit code is then 2."
    )


class IgnoreCommand(Selecting, DoitIgnore):  # type: ignore[misc]
    """doit's `ignore`."""

    name = "ignore"
    doc_usage = NAMES
    cmd_options = (*SELECTING, *DoitIgnore.cmd_options)
    doc_description = "Nothing executes or submits them until `forget`. A stage that comes after them does not wait for them."
