"""What completion knows: the usages and options of the commands, as doit has them, and the names of a batch."""

from __future__ import annotations

from doit.cmdparse import CmdOption

from pydoit_sc.batch import Status
from pydoit_sc.catalogue import COMMANDS
from pydoit_sc.commands.offers import Flag, Known
from pydoit_sc.commands.summarize import COLUMNS
from pydoit_sc.commands.usage import metavar
from pydoit_sc.errors import UserError
from pydoit_sc.installed import engine_names
from pydoit_sc.project import Project
from pydoit_sc.tasks.loader import BatchfileLoader
from pydoit_sc.tasks.program import Program


def gather(file: str | None) -> Known:
    """Return what completion offers: of the commands, and of a batchfile, if it can be read."""
    commands = Program().get_cmds()
    made = {
        name: commands.get_plugin(name)(task_loader=BatchfileLoader(), cmds=commands) for name in COMMANDS
    }
    values = {
        "engine": "|".join(engine_names()),
        "status": "|".join(status.value for status in Status) + ",",
        "columns": "|".join(COLUMNS) + ",",
    }
    return Known(
        {name: command.doc_usage for name, command in made.items()},
        {
            name: [_flag(option, values) for option in command.shown_options()]
            for name, command in made.items()
        },
        sorted(_names(file)) if file else [],
    )


def _names(file: str) -> set[str]:
    """Return the names of a batch's stages and runs; none where it cannot be read."""
    try:
        batch = Project.load(file, remote_output_path=".").batch  # a list has no place of its own
    except UserError:
        return set()
    return {stage.name for stage in batch.stages} | {stage.task_name(run) for stage, run in batch.runs()}


def _flag(option: CmdOption, values: dict[str, str]) -> Flag:
    names = [
        *([f"-{option.short}"] if option.short else ()),
        *(f"--{name}" for name in (option.long, option.inverse) if name),
    ]
    takes = "|".join(option.choices) or values.get(option.long) or metavar(option)
    purpose = " ".join((option.help % {"default": option.default}).split())
    return Flag(names, None if option.type is bool else takes, purpose.partition(";")[0][:60])
