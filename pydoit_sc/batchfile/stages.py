"""One stage of a batchfile: its table to its runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import pydantic

from pydoit_sc import made
from pydoit_sc.batch import Run, RunSet, Settings, Stage, stage_of
from pydoit_sc.batchfile.after import AfterError, Named, StageIndex, put_together, stage_order
from pydoit_sc.batchfile.axes import VARIANTS, MatrixTable
from pydoit_sc.batchfile.check import check
from pydoit_sc.batchfile.document import Source
from pydoit_sc.batchfile.durations import EXPECTED
from pydoit_sc.batchfile.errors import Where, show
from pydoit_sc.batchfile.fields import Command, HomePaths, StageTimeout, Text, Texts, are_sound, command_fault
from pydoit_sc.batchfile.matrix import AFTER, Combinations, expand
from pydoit_sc.batchfile.names import are_ordinary, check_name, check_stage_name, nested, repeated
from pydoit_sc.batchfile.report import Notes
from pydoit_sc.batchfile.tables import AttemptTable, Table
from pydoit_sc.batchfile.template import Field, Writer, parse_outputs
from pydoit_sc.batchfile.values import Row, Value
from pydoit_sc.batchfile.varied import vary
from pydoit_sc.globbing import escape
from pydoit_sc.shells import is_like_sh
from pydoit_sc.urls import local_path
from pydoit_sc.utf8 import escaped

_AFTER = re.compile(r"\{" + AFTER + r"\.([^{}!:]+)")


class StageTable(AttemptTable):
    """`[runs.NAME]`: a stage."""

    variants: ClassVar[Mapping[str, type[Table]]] = VARIANTS

    cmd: Command = pydantic.Field(
        description="the command, for the shell, in the batchfile's folder; required"
    )
    name: Text | None = pydantic.Field(
        default=None,
        description="names of the runs, unique in the stage; left out: made from the values of the axes",
    )
    file_dep: HomePaths = pydantic.Field(
        default=(),
        description="files, folders and patterns, from the batchfile's folder; an edit makes completed runs stale",
    )
    after: Texts = pydantic.Field(
        default=(),
        description="what must be completed first: a stage, `STAGE:RUN`, or a pattern, `STAGE:2012-*`",
    )
    timeout: StageTimeout | None = pydantic.Field(
        default=None, description="as in [batch]; in a stage with a matrix it may hold placeholders"
    )
    matrix: MatrixTable | None = pydantic.Field(
        default=None,
        description="the axes: the stage has a run for each combination, the last axis fastest; left out: one run",
    )


class _Above(NamedTuple):
    """What a stage is read with: what holds for the whole batch, and the stages that it may come after."""

    settings: Settings
    source: Source
    remote: str | None  # where the outputs go; None if that could not be read
    earlier: dict[str, StageIndex]


def read_stages(
    table: Mapping[str, Any], batch: Settings, source: Source, remote: str | None, notes: Notes
) -> tuple[Stage, ...]:
    """Return the stages of `[runs.*]`; what is wrong is noted."""
    if not table:
        notes.add(("runs",), "no stage; write [runs.NAME] with `cmd`")
    sound = {name: found for name, content in table.items() if (found := _table(name, content, notes))}
    order = stage_order({name: _words(content) for name, content in table.items()}, notes)
    above, stages = _Above(batch, source, remote, {}), dict[str, Stage]()
    for name in order or sound:
        stage = _stage(name, sound[name], above, notes) if name in sound else None
        if stage is not None:
            stages[name] = stage
            above.earlier[name] = StageIndex(stage)
    return tuple(stages[name] for name in sound if name in stages)


def _table(name: str, content: object, notes: Notes) -> StageTable | None:
    where: Where = ("runs", name)
    reason = check_stage_name(name)
    if reason is not None:
        notes.add(where, reason)
    if not isinstance(content, dict):
        known = name in StageTable.model_fields
        hint = "; a plain list of runs is written [[runs]]" if known else ""
        home = "" if known else notes.home(where)
        notes.add(where, home or f"expected a stage (a table), found {show(content)}{hint}")
        return None
    return check(StageTable, content, notes, where)


def _words(content: object) -> list[str]:
    """Return the words of a stage's `after`, as far as they are sound."""
    after = content.get("after") if isinstance(content, dict) else None
    return [word if isinstance(word, str) else "" for word in after] if isinstance(after, list) else []


def _stage(name: str, table: StageTable, above: _Above, notes: Notes) -> Stage | None:
    if table.matrix is None:
        return _only_run(name, table, above, notes)
    where: Where = ("runs", name)
    settings = table.over(above.settings)
    combinations = expand(table.matrix, above.source, notes, (*where, "matrix"))
    if combinations is None:
        return None
    writer = Writer(combinations, notes)
    after = _after(name, table.after, writer, above, notes)
    named = _AFTER.findall(table.cmd)
    outputs = None if after is None else _with_outputs(named, writer, after, above, where)
    cmds = None if outputs is None else _commands(table.cmd, settings.shell, outputs, where)
    names = _names(table.name, writer, where)
    varied = vary(settings, table.env, writer, where)
    if cmds is None or names is None or varied is None or after is None:
        return None
    runs = made.MadeRuns(name, names, cmds, varied, after, range(combinations.count))
    return Stage(name, runs, _stages_before(table), axes=combinations.axes_of)


def _stages_before(table: StageTable) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.partition(":")[0] for word in table.after))


def _only_run(name: str, table: StageTable, above: _Above, notes: Notes) -> Stage | None:
    """Return a stage without a matrix, whose texts are literal but for the outputs of earlier runs in its command."""
    where: Where = ("runs", name)
    if table.name is not None:
        notes.add((*where, "name"), "only a stage with a matrix names its runs; this one is its own run")
    if isinstance(table.timeout, str):
        notes.add(
            (*where, "timeout"),
            f"expected {EXPECTED}, found {show(table.timeout)}; placeholders need a matrix",
        )
    after = _after(name, table.after, None, above, notes)
    if after is None:
        return None
    settings, stages = table.over(above.settings), _stages_before(table)
    cmds: Sequence[str] | None = [table.cmd]
    pieces = parse_outputs(stages, table.cmd)
    if named := [piece.attribute for piece in pieces if isinstance(piece, Field)]:
        one = Writer(Combinations((), {}, {}, 1, 0), notes, partial(parse_outputs, stages))
        outputs = _with_outputs(named, one, after, above, where)
        cmds = outputs and _commands(table.cmd, settings.shell, outputs, where)
    if cmds is None:
        return None
    return Stage(name, (Run(name, cmds[0], name, settings, after=after[0]),), stages, single=True)


def _after(
    name: str, words: Sequence[str], writer: Writer | None, above: _Above, notes: Notes
) -> Sequence[tuple[Named, ...]] | None:
    """Return what each run of a stage comes after, or None after noting a word that names nothing."""
    count = writer.combinations.count if writer else 1
    problems = notes.report.count
    columns: list[Named | Sequence[Named]] = []
    for i, word in enumerate(words):
        stage, _, text = word.partition(":")
        earlier = above.earlier.get(stage)
        where: Where = ("runs", name, "after", i)
        texts = writer.texts(text, where, escape) if writer and text else None
        if earlier is None or (texts is None and writer and text):
            continue  # noted, here or where that stage is
        try:
            columns.append(earlier.find(word) if texts is None else earlier.column(texts))
        except AfterError as error:
            notes.add(where, str(error))
    if notes.report.count > problems or len(columns) < len(words):
        return None
    return put_together(words, columns, count)


def _with_outputs(
    stages: Collection[str],
    writer: Writer,
    after: Sequence[tuple[Named, ...]],
    above: _Above,
    where: Where,
) -> Writer | None:
    """Return the writer of a command that has `{after.STAGE}` of these: the output of the one run of it that a run comes after."""
    if not stages:
        return writer
    combinations, remote = writer.combinations, above.remote or ""
    root = local_path(remote) or remote
    rows: list[Value] = []
    for row, before in enumerate(after):
        if several := [one.stage for one in before if isinstance(one, RunSet) and one.stage in stages]:
            which = f" (in the combination {combinations.describe(row)})" if combinations.axes else ""
            writer.notes.add(
                (*where, "cmd"),
                f"`{{{AFTER}.{several[0]}}}` is the output of one run, and `after` names several of `{several[0]}`{which}",
            )
            return None
        rows.append(Row({stage_of(run.key): f"{root}/{run.key}" for run in before if isinstance(run, Run)}))
    values = {**combinations.values, AFTER: rows}
    columns = {**combinations.columns, AFTER: list(range(combinations.count))}
    return writer._replace(combinations=replace(combinations, values=values, columns=columns))


def _commands(cmd: str, shell: Sequence[str], writer: Writer, where: Where) -> Sequence[str] | None:
    where = (*where, "cmd")
    if not is_like_sh(shell) and (refused := writer.unquotable(cmd, shell)) is not None:
        writer.notes.add(where, refused)
        return None
    cmds = writer.commands(cmd, where)
    for row, written in enumerate(() if cmds is None or are_sound(cmds) else cmds):
        if (fault := command_fault(written)) is not None:
            writer.notes.add(where, f"{fault} (in the combination {writer.combinations.describe(row)})")
            return None
    return cmds


def _names(name: str | None, writer: Writer, where: Where) -> Sequence[str] | None:
    combinations, notes = writer.combinations, writer.notes
    names: Sequence[str] | None
    if name is None:
        names, hint = combinations.names(), "; give the stage a `name`"
    else:
        where, hint = (*where, "name"), ""
        rendered = writer.texts(name, where)
        if rendered is None:
            return None
        names = rendered if rendered.isascii() else list(map(escaped, rendered))
    if isinstance(names, made.Texts) and are_ordinary(names) and combinations.are_told_apart(names):
        return names
    all_names = list(names)
    for row, written in enumerate(all_names):
        if (reason := check_name(written)) is not None:
            combination = combinations.describe(row)
            notes.add(where, f"{reason}: {show(written)} in the combination {combination}{hint}")
            return None
    return names if _are_distinct(all_names, combinations, notes, where, hint) else None


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
        if combinations.differ_by_offset(rows[0], rows[1]):
            advice = "; the clocks show that time twice: put its offset, `%z`, into the format"
        notes.add(where, f"{len(rows):,} runs have the name `{name}`, {why}{more}{advice}")
    inside = nested(names)
    if inside:
        inner, outer = (names[i] for i in inside[0])
        notes.add(where, f"the output of `{inner}` would lie inside that of `{outer}`{hint}")
    return not twice and not inside
