"""What completion knows: the usages and options of the commands, as doit has them, and the names of a batch."""

from __future__ import annotations

import re
from collections.abc import Sequence

from doit.cmdparse import CmdOption

from pydoit_sc.batch import Stage, Status
from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.chosenresults import axes_among
from pydoit_sc.commands.offers import Flag, Known
from pydoit_sc.commands.summarize import COLUMNS
from pydoit_sc.commands.usage import metavar
from pydoit_sc.errors import UserError
from pydoit_sc.installed import engine_names
from pydoit_sc.outcomes.resulttable import OURS as COLUMNS_OF_RESULTS
from pydoit_sc.project import Project
from pydoit_sc.tasks.loader import BatchfileLoader
from pydoit_sc.tasks.program import Program

_WITH_ORPHANS = ("summarize-batch", "clean")  # the commands that know outputs without a run
_WORD = re.compile(r"[\w.-]+")


def gather(file: str | None) -> Known:
    """Return what completion offers: of the commands, and of a batchfile, if it can be read."""
    commands = Program().get_cmds()
    made = {
        name: commands.get_plugin(name)(task_loader=BatchfileLoader(), cmds=commands) for name in COMMANDS
    }
    stages = _stages(file) if file else ()
    columns = (*COLUMNS_OF_RESULTS, *_axes(stages))
    return Known(
        {name: command.doc_usage for name, command in made.items()},
        {
            name: [_flag(option, _values(name, columns)) for option in command.shown_options()]
            for name, command in made.items()
        },
        sorted(_names(stages)),
    )


def _values(command: str, columns: Sequence[str]) -> dict[str, str]:
    """Return the values of options of a command, by the names of these; `columns` are those of results."""
    statuses = [one for one in Status if one is not Status.ORPHANED or command in _WITH_ORPHANS]
    return {
        "engine": "|".join(engine_names()),
        "status": "|".join(statuses) + ",",
        "columns": "|".join(columns if command == "results" else COLUMNS) + ",",
    }


def _stages(file: str) -> Sequence[Stage]:
    """Return a batch's stages; none where it cannot be read."""
    try:
        return Project.load(file, remote_output_path=".").batch.stages  # a list has no place of its own
    except UserError:
        return ()


def _names(stages: Sequence[Stage]) -> set[str]:
    return {name for stage in stages for name in (stage.name, *map(stage.task_name, stage.runs))}


def _axes(stages: Sequence[Stage]) -> list[str]:
    """Return the names of axes, as far as they are words that a usage can have."""
    firsts = [(stage, stage.runs[0]) for stage in stages if stage.runs]
    return [name for name in axes_among(firsts) if _WORD.fullmatch(name) and name not in COLUMNS_OF_RESULTS]


def _flag(option: CmdOption, values: dict[str, str]) -> Flag:
    names = [
        *([f"-{option.short}"] if option.short else ()),
        *(f"--{name}" for name in (option.long, option.inverse) if name),
    ]
    takes = "|".join(option.choices) or values.get(option.long) or metavar(option)
    purpose = " ".join((option.help % {"default": option.default}).split())
    return Flag(names, None if option.type is bool else takes, purpose.partition(";")[0][:60])
