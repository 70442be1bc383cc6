"""One stage of a batchfile: its table to its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from pydoit_sc.batch import Run, Settings, Stage
from pydoit_sc.batchfile.axes import VARIANTS, MatrixTable
from pydoit_sc.batchfile.check import check
from pydoit_sc.batchfile.document import Source
from pydoit_sc.batchfile.durations import EXPECTED
from pydoit_sc.batchfile.errors import SHOWN, Where, nearest, show
from pydoit_sc.batchfile.fields import Command, StageTimeout, Text, Texts, command_fault
from pydoit_sc.batchfile.matrix import Combinations, expand
from pydoit_sc.batchfile.names import check_name, check_stage_name, nested, repeated
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.batchfile.tables import AttemptTable, Table
from pydoit_sc.batchfile.template import Writer, unquotable
from pydoit_sc.batchfile.varied import vary
from pydoit_sc.shells import is_like_sh
from pydoit_sc.utf8 import escaped


class StageTable(AttemptTable):
    """`[runs.NAME]`: a stage."""

    variants: ClassVar[Mapping[str, type[Table]]] = VARIANTS

    cmd: Command = Field(description="the command, for the shell, in the batchfile's folder; required")
    name: Text | None = Field(
        default=None,
        description="names of the runs, unique in the stage; left out: made from the values of the axes",
    )
    file_dep: Texts = Field(
        default=(),
        description="files, folders and patterns, from the batchfile's folder; an edit makes completed runs stale",
    )
    after: Texts = Field(default=(), description="stages that must be completed first")
    timeout: StageTimeout | None = Field(
        default=None, description="as in [batch]; in a stage with a matrix it may hold placeholders"
    )
    matrix: MatrixTable | None = Field(
        default=None,
        description="the axes: the stage has a run for each combination, the last axis fastest; left out: one run",
    )


def read_stages(table: Mapping[str, Any], batch: Settings, source: Source, notes: Notes) -> tuple[Stage, ...]:
    """Return the stages of `[runs.*]`; what is wrong is noted."""
    stages = []
    if not table:
        notes.add(("runs",), "no stage; write [runs.NAME] with `cmd`")
    for name, content in table.items():
        where: Where = ("runs", name)
        reason = check_stage_name(name)
        if reason is not None:
            notes.add(where, reason)
        if not isinstance(content, dict):
            known = name in StageTable.model_fields
            hint = "; a plain list of runs is written [[runs]]" if known else ""
            notes.add(where, f"expected a stage (a table), found {show(content)}{hint}")
            continue
        found = check(StageTable, content, notes, where)
        stage = _stage(name, found, batch, source, notes) if found is not None else None
        if stage is not None:
            stages.append(stage)
    _check_after({name: content for name, content in table.items() if isinstance(content, dict)}, notes)
    return tuple(stages)


def _stage(name: str, table: StageTable, batch: Settings, source: Source, notes: Notes) -> Stage | None:
    where: Where = ("runs", name)
    settings = table.over(batch)
    if table.matrix is None:
        if table.name is not None:
            notes.add((*where, "name"), "only a stage with a matrix names its runs; this one is its own run")
        if isinstance(table.timeout, str):
            notes.add(
                (*where, "timeout"),
                f"expected {EXPECTED}, found {show(table.timeout)}; placeholders need a matrix",
            )
        return Stage(name, (Run(name, table.cmd, name, settings),), table.after, single=True)
    combinations = expand(table.matrix, source, notes, (*where, "matrix"))
    if combinations is None:
        return None
    writer = Writer(combinations, notes)
    cmds = _commands(table.cmd, settings.shell, writer, where)
    names = _names(table.name, writer, where)
    varied = vary(settings, table.env, writer, where)
    if cmds is None or names is None or varied is None:
        return None
    runs = [Run(run, cmd, f"{name}/{run}", own) for run, cmd, own in zip(names, cmds, varied, strict=True)]
    return Stage(name, runs, table.after)


def _commands(cmd: str, shell: Sequence[str], writer: Writer, where: Where) -> list[str] | None:
    where = (*where, "cmd")
    if not is_like_sh(shell) and (refused := unquotable(cmd, shell)) is not None:
        writer.notes.add(where, refused)
        return None
    cmds = writer.commands(cmd, where)
    for row, written in enumerate(cmds or ()):
        if (fault := command_fault(written)) is not None:
            writer.notes.add(where, f"{fault} (in the combination {writer.combinations.describe(row)})")
            return None
    return cmds


def _names(name: str | None, writer: Writer, where: Where) -> list[str] | None:
    combinations, notes = writer.combinations, writer.notes
    if name is None:
        names, hint = combinations.names(), "; give the stage a `name`"
    else:
        rendered = writer.texts(name, (*where, "name"))
        if rendered is None:
            return None
        names, hint = [escaped(one) for one in rendered], ""
    where = (*where, "name") if name is not None else where
    for row, written in enumerate(names):
        if (reason := check_name(written)) is not None:
            combination = combinations.describe(row)
            notes.add(where, f"{reason}: {show(written)} in the combination {combination}{hint}")
            return None
    return names if _are_distinct(names, combinations, notes, where, hint) else None


def _are_distinct(
    names: list[str], combinations: Combinations, notes: Notes, where: Where, hint: str
) -> bool:
    twice = repeated(names)
    if twice:
        name, rows = next(iter(twice.items()))
        more = f"; {len(twice):,} names are not unique" if len(twice) > 1 else ""
        apart = combinations.contrast(rows[0], rows[1])
        why = f"for example {apart}" if apart else f"all of {combinations.describe(rows[0])}"
        advice = (hint or "; put every axis into it") if apart else "; leave out what is there twice"
        notes.add(where, f"{len(rows):,} runs have the name `{name}`, {why}{more}{advice}")
    inside = nested(names)
    if inside:
        inner, outer = (names[i] for i in inside[0])
        notes.add(where, f"the output of `{inner}` would lie inside that of `{outer}`{hint}")
    return not twice and not inside


def _check_after(stages: Mapping[str, Mapping[str, Any]], notes: Notes) -> None:
    import graphlib  # noqa: PLC0415 - few batches have an order

    graph: dict[str, Sequence[str]] = {}
    for name, content in stages.items():
        after = content.get("after")
        graph[name] = []
        for i, other in enumerate(after if isinstance(after, list) else ()):
            where: Where = ("runs", name, "after", i)
            if other == name:
                notes.add(where, f"`{name}` cannot come after itself")
            elif isinstance(other, str) and other in stages:
                graph[name] = [*graph[name], other]
            elif isinstance(other, str):
                near = nearest(other, stages) if notes.report.count < SHOWN else None
                notes.add(where, f"no stage `{other}`" + (f"; did you mean `{near}`?" if near else ""))
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        cycle = [str(name) for name in reversed(error.args[1])]
        order = " after ".join(f"`{name}`" for name in cycle)
        notes.add(("runs", cycle[0], "after"), f"the stages wait for each other: {order}")
