"""Axes, combinations, placeholders and default names."""

from __future__ import annotations

import csv
import subprocess
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from itertools import product
from pathlib import Path

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile import load, stages
from pydoit_sc.batchfile.axes import MatrixTable
from pydoit_sc.batchfile.check import check
from pydoit_sc.batchfile.document import Document, Source
from pydoit_sc.batchfile.fields import are_sound, command_fault
from pydoit_sc.batchfile.matrix import Combinations, expand
from pydoit_sc.batchfile.names import are_ordinary, check_name
from pydoit_sc.batchfile.report import Notes, Report
from pydoit_sc.batchfile.values import Value
from pydoit_sc.made import Texts

Make = Callable[..., Batch]
Problems = Callable[..., list[str]]

DAYS = 'a = { from = 2024-12-25, to = 2024-12-26, every = "1 day" }\n'
HOURS = 'a = { from = 2024-12-25T00:00:00, to = 2024-12-25T02:00:00, every = "1 hour" }\n'

HOSTILE = [
    "plain",
    "two words",
    "it's",
    'say "hi"',
    "new\nline",
    "ünïcødé ☃",
    "$(touch pwned) `id` $HOME",
    "-leading",
    "; exit 3 #",
    "back\\slash",
    "*",
    "",
]


def stage(matrix: str, cmd: str = "x", name: str | None = None) -> str:
    named = f"name = '{name}'\n" if name is not None else ""
    return (
        f"[batch]\nremote_output_path = '/o'\n[runs.s]\ncmd = '''{cmd}'''\n{named}[runs.s.matrix]\n{matrix}\n"
    )


def commands(batch: Batch) -> list[str]:
    return [run.cmd for run in batch.stages[0].runs]


def names(batch: Batch) -> list[str]:
    return [run.name for run in batch.stages[0].runs]


def test_the_last_axis_is_the_fastest(make: Make) -> None:
    batch = make(stage('a = [1, 2]\nb = ["x", "y", "z"]', "{a}{b}"))
    assert commands(batch) == ["1x", "1y", "1z", "2x", "2y", "2z"]
    assert names(batch) == ["1_x", "1_y", "1_z", "2_x", "2_y", "2_z"]


def test_scalars_are_written_as_toml_writes_them(make: Make) -> None:
    values = '[true, 3, 0.5, 1e-7, "s", 2012-01-31, 07:30:00, 2012-01-31T07:30:00, 2012-01-31T07:30:00+02:00]'
    batch = make(stage(f"a = {values}", "{a!s}"))
    assert commands(batch) == [
        "true", "3", "0.5", "1e-07", "s", "2012-01-31", "07:30:00", "2012-01-31T07:30:00", "2012-01-31T07:30:00+02:00",
    ]  # fmt: skip
    assert names(batch)[-3:] == ["073000", "2012-01-31T073000", "2012-01-31T073000+0200"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[0, 100, 25]", "0 25 50 75"),
        ("[0, 3]", "0 1 2"),
        ("[5, 0, -2]", "5 3 1"),
        ("[0, 0.5, 0.1]", "0.0 0.1 0.2 0.3 0.4"),
        ("[1, 0, -0.25]", "1.0 0.75 0.5 0.25"),
    ],
)
def test_ranges(make: Make, written: str, expected: str) -> None:
    assert " ".join(commands(make(stage(f"a = {{ range = {written} }}", "{a}")))) == expected


def test_rows_of_csv(make: Make, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text('name,the rate\nadam,0.1\n"s, g",2\n')
    batch = make(stage('row = { csv = "p.csv" }', "{row.name} --lr {row.the rate}"))
    assert commands(batch) == ["adam --lr 0.1", "'s, g' --lr 2"]
    assert names(batch) == ["adam_0.1", "s,-g_2"]


def test_files_of_a_glob(make: Make, tmp_path: Path) -> None:
    for name in ("b.csv", "a b.csv", "sub/c.csv"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "data" / name).touch()
    batch = make(stage('path = { glob = "data/**/*.csv" }', "{path} {path.stem} {path.name}"))
    assert commands(batch) == [
        "'data/a b.csv' 'a b' 'a b.csv'", "data/b.csv b b.csv", "data/sub/c.csv c c.csv",
    ]  # fmt: skip
    assert names(batch) == ["a-b", "b", "c"]


@pytest.mark.parametrize(
    ("window", "cmd", "expected"),
    [
        (  # the seed's backfill
            'from = 2023-12-31, to = 2024-01-02, every = "1 day", span = "2 days"',
            "--start-dt {w.start} --end-dt {w.end}",
            [
                "--start-dt 2023-12-31 --end-dt 2024-01-02",
                "--start-dt 2024-01-01 --end-dt 2024-01-03",
                "--start-dt 2024-01-02 --end-dt 2024-01-04",
            ],
        ),
        (
            'from = 2012-01-31, to = 2012-04-30, every = "1 month"',
            "{w.start}/{w.end}/{w.last}",
            [
                "2012-01-31/2012-02-29/2012-02-28",
                "2012-02-29/2012-03-31/2012-03-30",
                "2012-03-31/2012-04-30/2012-04-29",
                "2012-04-30/2012-05-31/2012-05-30",
            ],
        ),
        (
            'from = 2011-01-31, to = 2011-03-31, every = "1 month", span = "2 days"',
            "{w.start:%d.%m.}-{w.last:%d.%m.}",
            ["31.01.-01.02.", "28.02.-01.03.", "31.03.-01.04."],
        ),
        ('from = 2012-02-29, to = 2014-12-31, every = "1 year"', "{w.start}", ["2012-02-29", "2013-02-28", "2014-02-28"]),
        ('from = 2012-01-01, to = 2012-01-14, every = "1 week", span = "1 month"', "{w.end}", ["2012-02-01", "2012-02-08"]),
        ('from = 2012-12-15, to = 2013-02-14, every = "1 month"', "{w.start}", ["2012-12-15", "2013-01-15"]),
        (  # a fixed offset stays, through the night when clocks change
            'from = 2024-03-30T23:00:00+01:00, to = 2024-03-31T02:00:00+01:00, every = "90 minutes"',
            "{w.start!s} {w.end!s}",
            [
                "2024-03-30T23:00:00+01:00 2024-03-31T00:30:00+01:00",
                "2024-03-31T00:30:00+01:00 2024-03-31T02:00:00+01:00",
                "2024-03-31T02:00:00+01:00 2024-03-31T03:30:00+01:00",
            ],
        ),
        ('from = 2012-01-31T06:00:00, to = 2012-02-29T06:00:00, every = "1 months"', "{w.start!s}", ["2012-01-31T06:00:00", "2012-02-29T06:00:00"]),
        ('from = 2012-01-01T00:00:00Z, to = 2012-01-01T01:00:00+01:00, every = "1 hour"', "{w.start:%H}", ["00"]),
    ],
)  # fmt: skip
def test_windows(make: Make, window: str, cmd: str, expected: list[str]) -> None:
    assert commands(make(stage(f"w = {{ {window} }}", cmd))) == expected


def test_windows_are_named_by_their_start(make: Make) -> None:
    window = 'w = { from = 2012-01-01T00:00:00Z, to = 2012-01-01T12:00:00Z, every = "12 hours" }'
    assert names(make(stage(window))) == ["2012-01-01T000000Z", "2012-01-01T120000Z"]


def test_hostile_values_reach_the_command_as_one_word(make: Make, tmp_path: Path) -> None:
    with open(tmp_path / "p.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("n", "v"), *enumerate(HOSTILE)])
    cmd = """printf '%s|' {row.v} pre{row.v} "$(printf %s {row.v})" # it's"""
    batch = make(stage('row = { csv = "p.csv" }', cmd, "{row.n}"))
    for value, command in zip(HOSTILE, commands(batch), strict=True):
        done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, cwd=tmp_path)
        assert done.stdout.decode() == f"{value}|pre{value}|{value}|"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batchfile.toml", "p.csv"]


def test_raw_values_are_not_quoted(make: Make) -> None:
    assert commands(make(stage('a = ["x y", "-n 3"]', "cut {a!s} {a}"))) == [
        "cut x y 'x y'",
        "cut -n 3 '-n 3'",
    ]


@pytest.mark.parametrize("cmd", ["echo '{a}'", 'echo "{a}"', 'echo "$(date) {a}"', "echo 'a\\' '{a}'"])
def test_a_value_that_needs_quotes_cannot_stand_in_quotes(make: Make, problems: Problems, cmd: str) -> None:
    assert problems(stage('a = ["it is"]', cmd)) == [
        (
            "batchfile.toml:4:1: runs.s.cmd: `{a}` stands inside quotes, but values are quoted already, here 'it is'; "
            "take the quotes away, or write `{a!s}`"
        )
    ]
    assert make(stage('a = ["safe", 3]', cmd)).stages
    assert make(stage('a = ["it is"]', cmd.replace("{a}", "{a!s}"))).stages


@pytest.mark.parametrize(
    "cmd",
    [
        'x "a" {a}',
        "x \\' {a}",
        'x "\\"" {a}',
        "x # isn't\n{a}",
        "x ${{#y}} '' {a}",
        'x "$(echo {a})"',
        "x <<'E'\n'\nE\ny {a}",
    ],
)
def test_a_value_outside_quotes_is_quoted(make: Make, cmd: str) -> None:
    assert "'it is'" in commands(make(stage('a = ["it is"]', cmd.replace("\\n", "\n"))))[0]


def test_formats_and_braces(make: Make) -> None:
    batch = make(
        stage('s = [7]\nd = [2012-03-04]\nf = ["x"]', "awk '{{print $1}}' {s:03d} {s:.1f} {d:%Y/%m} {f:>3}")
    )
    assert commands(batch) == ["awk '{print $1}' 007 7.0 2012/03 '  x'"]


@pytest.mark.parametrize("width", ["999999999", "٩٩٩٩٩٩٩٩٩"])
def test_a_format_fills_no_memory(problems: Problems, width: str) -> None:
    (said,) = problems(stage("a = [1]", f"echo {{a:>{width}}}"))
    assert said.endswith("cannot write 1: a width of five digits")


def test_names_are_not_quoted(make: Make) -> None:
    assert names(make(stage('a = ["it\'s a"]', "x", "n {a}".replace("'", "")))) == ["n it's a"]


@pytest.mark.parametrize(
    ("cmd", "message"),
    [
        ("{mont.start}", "unknown placeholder `{mont.start}`; did you mean `{month.start}`?"),
        ("{month.begin}", "unknown placeholder `{month.begin}`; did you mean `{month.end}`?"),
        ("{month}", "unknown placeholder `{month}`; did you mean `{month.end}`?"),
        ("{zzz}", "unknown placeholder `{zzz}`; known are `{month.end}`, `{month.last}`, `{month.start}`, `{n}`; write `{{` and `}}` for braces"),
        ("awk '{print}'", "unknown placeholder `{print}`; did you mean"),
        ("{n.__class__}", "unknown placeholder `{n.__class__}`; known are `{n}`"),
        ("{month.start.year}", "unknown placeholder `{month.start.year}`; did you mean `{month.start}`?"),
        ("{n[0]}", "unknown placeholder `{n[0]}`"),
        ("{0}", "unknown placeholder `{0}`"),
        ("{}", "`{}` names no axis; write `{{` and `}}` for braces"),
        ("{n!r}", "`{n!r}`: the only conversion is `!s`, which leaves out the quoting"),
        ("{n:{n}}", "`{n:{n}}`: a format has no placeholders in it"),
        ("{n:%Y}", "`{n:%Y}` cannot write 1: "),
        ("{n:99999999999d}", "`{n:99999999999d}` cannot write 1: a width of five digits"),
        ("a } b", "single '}' encountered in format string; write `{{` and `}}` for braces"),
        ("a { b", "expected '}' before end of string; write `{{` and `}}` for braces"),
    ],
)  # fmt: skip
def test_bad_placeholders(problems: Problems, cmd: str, message: str) -> None:
    axes = 'month = { from = 2012-01-01, to = 2012-02-01, every = "1 month" }\nn = [1]'
    (line,) = problems(stage(axes, cmd))
    assert line.startswith(f"batchfile.toml:4:1: runs.s.cmd: {message}")
    (line,) = problems(stage(axes, "x", cmd.replace("'", "")))
    assert line.startswith("batchfile.toml:5:1: runs.s.name: ")


def test_date_times_have_no_last_day(problems: Problems) -> None:
    axis = 'w = { from = 2012-01-01T00:00:00, to = 2012-02-01T00:00:00, every = "1 day" }'
    assert problems(stage(axis, "{w.last}"))[0].startswith(
        "batchfile.toml:4:1: runs.s.cmd: unknown placeholder `{w.last}`; "
    )


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("a = []", "a: expected at least one value, found an empty list"),
        ("a = 3", "a: expected a list of values, or a table with `from`, `range`, `csv` or `glob`, found 3"),
        ("a = [1, [2]]", "a[1]: expected a string, a number, true, false or a date, found a list"),
        ("a = {}", "a: expected one of `from`, `range`, `csv` and `glob`, found an empty table"),
        ('a = { glob = "x", csv = "y" }', "a: expected one of `from`, `range`, `csv` and `glob`, found a table"),
        ("a = { rnge = [1, 2] }", "a.rnge: unknown key; did you mean `range`?"),
        ("a = { range = [1, 2, 0] }", "a.range: the step is 0"),
        ("a = { range = [1] }", "a.range: expected [start, stop, step], found a list"),
        ("a = { range = [1, true] }", "a.range[1]: expected a number, found true"),
        ("a = { range = [1.0, nan] }", "a.range[1]: expected a number, found nan"),
        ("a = { range = [2, 1] }", "a: the axis has no values"),
        ("a = { range = [0, 10000001] }", "a: a matrix has at most 10,000,000 combinations, this axis alone 10,000,001"),
        ("a = { range = [0, 1, 1e-15] }", "a: a matrix has at most 10,000,000 combinations, this axis alone 1,000,000,000,000,000"),
        ("a = { range = [0, 10000] }\nb = { range = [0, 1001] }", "a matrix has at most 10,000,000 combinations, this one 10,010,000"),
        ('a = { glob = "no/*.csv" }', "a.glob: no file matches \"no/*.csv\" in "),
        ('a = { glob = "" }', 'a.glob: expected a string that is not empty, found ""'),
        ("a = { from = 2012-01-01, to = 2012-01-01 }", "a: no `every`: distance between two starts, such as `\"1 month\"`"),
        ('a = { from = "2012-01-01", to = 2012-01-02, every = "1 day" }', 'a.from: expected a date or a date-time without quotes, found "2012-01-01"'),
        ('a = { from = 2012-01-01, to = 2012-01-01T00:00:00, every = "1 day" }', "a.to: expected a date as in `from`, found a date-time"),
        ('a = { from = 2012-01-01T00:00:00Z, to = 2012-01-01T00:00:00, every = "1 day" }', "a.to: expected a date-time with an offset as in `from`, found a date-time"),
        ('a = { from = 2012-01-02, to = 2012-01-01, every = "1 day" }', "a.to: 2012-01-01 is before `from`, 2012-01-02"),
        ('a = { from = 2012-01-01, to = 2012-01-02, every = "1 hour" }', 'a.every: expected days, weeks, months or years; windows of hours and minutes need date-times, found "1 hour"'),
        ('a = { from = 2012-01-01, to = 2012-01-02, every = "0 days" }', 'a.every: expected a length such as "1 day"'),
        ('a = { from = 2012-01-01, to = 2012-01-02, every = "1m" }', 'a.every: expected a length such as "1 day"'),
        ('a = { from = 2012-01-01, to = 2012-01-02, every = "1 day", span = 2 }', 'a.span: expected a length such as "1 day"'),
        ('a = { from = 9999-01-01, to = 9999-12-31, every = "1 month" }', "a: the windows go past the year 9999"),
        ('a = { from = 9999-12-31, to = 9999-12-31, every = "1 day" }', "a: the windows go past the year 9999"),
        ('a = { from = 1000-01-01T00:00:00, to = 9000-01-01T00:00:00, every = "1 minute" }', "a: a matrix has at most 10,000,000 combinations, this axis alone 4,"),
        ('"a.b" = [1]', "'a.b': the name of an axis has letters, digits, `_` and `-`"),
        ("", "the matrix has no axes"),
        ("a = [1]\nexclude = [{ a = 1 }]", "`exclude` leaves no combination"),
        ("aaa = [1, 2]\nexclude = [{ aab = 1 }]", "exclude[0].aab: unknown axis; did you mean `aaa`?"),
        (
            'a = ["x", "y"]\nexclude = [{ a = "X" }]',
            'exclude[0].a: expected a value of the axis, "x", "y", found "X"',
        ),
        (
            'a = [1, 2, 3, 4, 5, 6]\nexclude = [{ a = "1" }]',
            'exclude[0].a: expected a value of the axis, 1, 2, 3, 4, 5, …, found "1"',
        ),
        (f'{DAYS}exclude = [{{ a = "2024-12-25" }}]', 'exclude[0].a: expected a date, the start of a window, found "2024-12-25"; a date has no quotes'),
        (f"{DAYS}exclude = [{{ a = 20241225 }}]", "exclude[0].a: expected a date, the start of a window, found 20241225"),
        (f"{DAYS}exclude = [{{ a = {{ start = 2024-12-25 }} }}]", "exclude[0].a: expected a date, the start of a window, found a table"),
        (f"{DAYS}exclude = [{{ a = 2024-12-25T00:00:00 }}]", "exclude[0].a: expected a date as in `from`, found a date-time"),
        (f"{HOURS}exclude = [{{ a = 2024-12-25 }}]", "exclude[0].a: expected a date-time as in `from`, found a date"),
        (f"{HOURS}exclude = [{{ a = 2024-12-25T00:00:00Z }}]", "exclude[0].a: expected a date-time as in `from`, found a date-time with an offset"),
        ("a = { range = [0, 9] }\nexclude = [{ a = '3' }]", 'exclude[0].a: expected a number, found "3"'),
        ("a = { range = [0, 9] }\nexclude = [{ a = true }]", "exclude[0].a: expected a number, found true"),
        ("a = { glob = '*' }\nexclude = [{ a = 3 }]", "exclude[0].a: expected the path of a file, found 3"),
        ("a = { csv = 'p.csv' }\nexclude = [{ a = '3' }]", 'exclude[0].a: expected a table of some columns of a row, found "3"'),
        ("a = [{ x = 1 }]\nexclude = [{ a = 1 }]", "exclude[0].a: expected a table of some keys of the axis, found 1"),
        ("a = [{ x = 1 }]\nexclude = [{ a = { x = '1' } }]", "exclude[0].a: no table of the axis has these values"),
        ("a = [1]\ninclude = 3", "include: expected a list of tables, found 3"),
        ("a = [1]\ninclude = [{}]", "include[0]: expected a table with keys, found an empty table"),
        ("a = [1]\ninclude = [{ a = [1] }]", "include[0].a: expected one value, found a list"),
    ],
)  # fmt: skip
def test_bad_axes(problems: Problems, axis: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("x\n3\n")
    (line,) = problems(stage(axis))
    place, _, rest = line.partition(": ")
    glue = ": " if message.startswith(("a matrix", "the matrix", "`exc")) else "."
    assert rest.startswith(f"runs.s.matrix{glue}{message}")
    assert int(place.split(":")[1]) >= 5


def test_files_of_axes_that_are_bad(problems: Problems, tmp_path: Path) -> None:
    """What is wrong with a file as a whole is told where its axis stands, what is wrong inside of it in the file."""
    here = "batchfile.toml:6:7: runs.s.matrix.a.csv: "
    assert problems(stage('a = { csv = "no.csv" }')) == [f'{here}"no.csv": no such file']
    assert problems(stage('a = { csv = "." }')) == [f'{here}".": is a folder, expected a file']
    (tmp_path / "p.csv").write_text("a,b\n")
    assert problems(stage('a = { csv = "p.csv" }')) == [f'{here}"p.csv": no rows below the header']
    (tmp_path / "p.csv").write_text("a,b\n1,2\n3\n")
    assert problems(stage('a = { csv = "p.csv" }')) == ["p.csv:3: expected 2 cells as in the header, found 1"]


def test_exclude_may_name_what_is_not_there_on_another_day(make: Make) -> None:
    hours = HOURS.replace("}", ', tz = "Europe/Zurich" }')
    starts = ["2024-12-25T00:00:00", "2024-12-25T01:00:00+01:00", "2030-01-01T00:00:00Z"]
    excluded = ", ".join(f"{{ a = {start} }}" for start in starts)
    assert commands(make(stage(f"{hours}exclude = [{excluded}]", "{a.start:%H%z}"))) == ["02+0100"]
    assert len(commands(make(stage(f"{DAYS}exclude = [{{ a = 2030-01-01 }}]")))) == 2
    assert len(commands(make(stage("a = { range = [0, 9] }\nexclude = [{ a = 9 }, { a = 2.0 }]")))) == 8


GITHUB = """
fruit = ["apple", "pear"]
animal = ["cat", "dog"]
include = [
  { color = "green" },
  { color = "pink", animal = "cat" },
  { fruit = "apple", shape = "circle" },
  { fruit = "banana" },
  { fruit = "banana", animal = "cat" },
]
"""


def combinations(text: str, tmp_path: Path) -> list[str]:
    table = tomli.loads(text)
    report = Report()
    notes = Notes(report, Document("f", "toml", text.encode(), table))
    matrix = check(MatrixTable, table, notes)
    assert matrix is not None
    found = expand(matrix, Source(str(tmp_path), "f", datetime.now(timezone.utc), {}), notes, ())
    report.check()
    assert found is not None
    return [found.describe(row) for row in range(found.count)]


def test_include_as_in_githubs_own_example(tmp_path: Path) -> None:
    assert combinations(GITHUB, tmp_path) == [
        'fruit="apple", animal="cat", color="pink", shape="circle"',
        'fruit="apple", animal="dog", color="green", shape="circle"',
        'fruit="pear", animal="cat", color="pink"',
        'fruit="pear", animal="dog", color="green"',
        'fruit="banana"',
        'fruit="banana", animal="cat"',
    ]


def test_exclude_comes_before_include(tmp_path: Path) -> None:
    text = "a = [1, 2]\nb = [true, false]\nexclude = [{ a = 1 }, { a = 2, b = true }]\ninclude = [{ a = 1, b = true }]"
    assert combinations(text, tmp_path) == ["a=2, b=false", "a=1, b=true"]


def test_include_alone(make: Make) -> None:
    batch = make(stage('include = [{ a = 1, b = "x" }, { a = 2, b = "y" }]', "{a}{b}"))
    assert (commands(batch), names(batch)) == (["1x", "2y"], ["1_x", "2_y"])


def test_one_is_not_true(tmp_path: Path) -> None:
    assert combinations("a = [1, true, 0, false]\nexclude = [{ a = true }, { a = 0 }]", tmp_path) == [
        "a=1",
        "a=false",
    ]


def test_windows_and_rows_are_meant_by_what_is_written(make: Make, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("x,y\n1,2\n3,4\n")
    axes = 'w = { from = 2012-01-01, to = 2012-03-01, every = "1 month" }\nr = { csv = "p.csv" }\nk = [1]\n'
    entries = 'exclude = [{ w = 2012-02-01 }, { r = { x = "3" } }]\ninclude = [{ w = 2012-01-01, r = { x = "3" }, k = 9 }]'
    assert commands(make(stage(axes + entries, "{w.last} {r.y} {k}"))) == [
        "2012-01-31 2 1",
        "2012-03-31 2 1",
        "2012-01-31 4 9",
    ]


def test_include_adds_to_every_row_it_means(make: Make, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("x,y\n1,2\n1,3\n")
    axes = 'r = { csv = "p.csv" }\ninclude = [{ r = { x = "1" }, e = 9 }]'
    assert commands(make(stage(axes, "{r.y} {e}"))) == ["2 9", "3 9"]


@pytest.mark.parametrize(
    ("axis", "entry", "found"),
    [
        ("a = { range = [0, 8000] }\nexclude", "{{ a = {n} }}", 1),
        ("a = [-1]\ninclude", "{{ a = {n}, b = {n} }}", 8000),
        ("a = { csv = 'p.csv' }\ninclude", "{{ a = {{ x = {n} }}, b = {n} }}", 8000),
        (
            'a = { from = 2000-01-01, to = 2021-11-25, every = "1 day" }\ninclude',
            "{{ a = {day}, b = 'x' }}",
            8000,
        ),
    ],
)
def test_thousands_of_entries_are_read_at_once(tmp_path: Path, axis: str, entry: str, found: int) -> None:
    (tmp_path / "p.csv").write_text("x\n" + "".join(f"{n}\n" for n in range(8000)))
    days = [date(2000, 1, 1) + timedelta(days=n) for n in range(7999)]
    entries = ", ".join(entry.format(n=n, day=day) for n, day in enumerate(days))
    before = time.process_time()
    assert len(combinations(f"{axis} = [{entries}]", tmp_path)) == found
    assert (
        time.process_time() - before < 10
    )  # 1 where nothing else is done; with a look at each value, 30 and more


def test_what_include_adds_does_not_rename_runs(make: Make) -> None:
    batch = make(stage("a = [1, 2]\ninclude = [{ e = 0 }, { a = 2, e = 5 }]", "{a}{e}"))
    assert (commands(batch), names(batch)) == (["10", "25"], ["1", "2"])


def test_a_value_that_some_combinations_lack(problems: Problems) -> None:
    assert problems(stage("a = [1, 2]\ninclude = [{ a = 2, e = 5 }]", "{e}")) == [
        "batchfile.toml:4:1: runs.s.cmd: `{e}` has no value in the combination a=1"
    ]


def test_names_that_are_not_unique(problems: Problems, tmp_path: Path) -> None:
    assert problems(stage("a = [1, 2]\nb = [1, 2]", "x", "n{a}")) == [
        (
            "batchfile.toml:5:1: runs.s.name: 2 runs have the name `n1`, for example those of b=1, and of b=2; 2 names are not unique; put every axis into it"
        )
    ]
    assert problems(stage('a = ["x y", "x/y"]')) == [
        (
            'batchfile.toml:3:1: runs.s: 2 runs have the name `x-y`, for example those of a="x y", and of a="x/y"'
            "; give the stage a `name`"
        )
    ]
    assert problems(stage('a = ["x", "x/y"]', "x", "{a}")) == [
        "batchfile.toml:5:1: runs.s.name: the output of `x/y` would lie inside that of `x`"
    ]
    assert problems(stage('a = [".."]')) == [
        'batchfile.toml:3:1: runs.s: a name has no segment `..`: ".." in the combination a=".."; give the stage a `name`'
    ]


@pytest.mark.parametrize(
    ("matrix", "name", "count"),
    [
        ('a = ["1", "1-1"]\nb = ["1-1", "1"]', "{a}-{b}", 2),
        ('a = ["1", "11"]\nb = ["11", "1"]', "{a}{b}", 2),
        ('a = ["1", "12"]\nb = ["2-3", "3"]', "{a}2-{b}", 0),
        ('a = ["1", "12"]\nb = ["2x", "x"]', "n{a}2{b}", 2),
        ('a = ["x", "y", "x"]', "{a}", 2),
        ("a = [1.25, 1.26]", "{a:.1f}", 0),
        ("a = [1.24, 1.23]", "{a:.1f}", 2),
        ("a = [1, 2]\ninclude = [{ a = 3 }, { a = 3, e = 1 }]", "{a}", 2),
        ("a = [1, 2]\nb = [1]\nexclude = [{ a = 1 }]", "n", 0),
        ("a = [1, 2]\nb = [1]", "n", 2),
    ],
)
def test_names_that_are_put_together_alike_are_found(
    problems: Problems, make: Make, matrix: str, name: str, count: int
) -> None:
    if count:
        assert f"{count} runs have the name" in problems(stage(matrix, name=name))[0]
    else:
        names = [run.name for run in make(stage(matrix, name=name)).stages[0].runs]
        assert len(set(names)) == len(names)


PIECES = st.lists(st.text("1-./ é", max_size=3), min_size=1, max_size=3)


@given(st.lists(st.one_of(PIECES, st.text("1-./ é", max_size=2)), max_size=4), st.integers(0, 250))
def test_what_shows_in_the_pieces_of_names_and_commands_is_so(
    pieces: list[list[str] | str], more: int
) -> None:
    values = {i: piece for i, piece in enumerate(pieces) if isinstance(piece, list)}
    rows = [*product(*(range(len(piece)) for piece in values.values()))]
    columns = dict(zip(map(str, values), zip(*rows, strict=True), strict=True))
    written: dict[str, list[Value]] = {str(i): [*piece] for i, piece in values.items()}
    matrix = Combinations(tuple(columns), written, columns, len(rows), 0)
    parts = [piece if isinstance(piece, str) else (columns[str(i)], piece) for i, piece in enumerate(pieces)]
    texts = Texts([*parts, "1" * more], matrix.count)
    if matrix.are_told_apart(texts):
        assert len(set(texts)) == matrix.count
    if are_ordinary(texts):
        assert {check_name(text) for text in texts} == {None}
    if are_sound(texts):
        assert {command_fault(text) for text in texts} == {None}


def test_what_many_names_and_commands_are_made_of_is_enough(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looks_at_each(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr(stages, "check_name", looks_at_each)
    monkeypatch.setattr(stages, "command_fault", looks_at_each)
    text = stage('a = { range = [0, 30, 1] }\nb = ["x", "y"]', "echo {a}", "n{a}-{b}")
    assert len(make(text).stages[0].runs) == 60


def test_names_that_clash_show_what_tells_the_values_apart(problems: Problems, tmp_path: Path) -> None:
    for name in ("2012/x.csv", "2013/x.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "p.csv").write_text("id,n\ns 1,7\ns/1,7\n")
    long = "x" * 100

    def clash(matrix: str) -> str:
        (said,) = problems(stage(matrix))
        return said.partition("runs have the name ")[2]

    axis = 'p = { glob = "*/x.csv" }\nk = [1]'
    assert (
        clash(axis)
        == '`x_1`, for example those of p="2012/x.csv", and of p="2013/x.csv"; give the stage a `name`'
    )
    assert clash('r = { csv = "p.csv" }').startswith(
        '`s-1_7`, for example those of r.id="s 1", and of r.id="s/1"; '
    )
    assert f'a="{long} ", and of a="{long}/"' in clash(f'a = ["{long} ", "{long}/"]')
    assert clash("a = [1, 1]\nb = [2]") == "`1_2`, all of a=1, b=2; leave out what is there twice"
    entries = 'include = [{ a = 1 }, { a = "1", b = 2 }, { a = "1_2" }]'
    assert clash(entries) == '`1_2`, for example those of a="1", b=2, and of a="1_2"; give the stage a `name`'


def test_a_command_that_its_values_spoil(problems: Problems) -> None:
    assert problems(stage('a = ["x", " "]', "{a!s}", "n{a!s}"))[0].startswith(
        'batchfile.toml:4:1: runs.s.cmd: the command is empty (in the combination a=" ")'
    )


def test_a_glob_leaves_outputs_and_links_alone(make: Make, problems: Problems, tmp_path: Path) -> None:
    for name in ("in/a.csv", "out/s/in/results/b.csv", "folder.csv/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    for link in ("here", "too"):
        (tmp_path / link).symlink_to(".")
    text = stage('path = { glob = "**/*.csv" }', "{path}").replace("'/o'", "'out'")
    assert commands(make(text)) == ["in/a.csv"]
    assert problems(text.replace("**/*.csv", "out/**/*.csv")) == [
        (
            f'batchfile.toml:6:10: runs.s.matrix.path.glob: no file matches "out/**/*.csv" in {tmp_path}; folders, and outputs of the '
            "batch, are left out"
        )
    ]


def test_the_values_of_a_runs_axes(tmp_path: Path) -> None:
    """They are in its `run.json`, by what placeholders name of them."""
    (tmp_path / "p.csv").write_text("seed,lr\n007,1e3\n")
    (tmp_path / "batchfile.toml").write_text(
        """
[batch]
remote_output_path = "out"
[runs.a]
cmd = "true"
[runs.a.matrix]
n = [1, 2.5, true, "x"]
m = { from = 2024-01-01, to = 2024-01-01, every = "1 month" }
row = { csv = "p.csv" }
arch = [{ name = "s", lr = 0.1 }]
file = { glob = "*.csv" }
"""
    )
    (stage,) = load(tmp_path / "batchfile.toml").stages
    rest = {
        "m.start": "2024-01-01",
        "row.seed": "007",
        "row.lr": "1e3",
        "arch.name": "s",
        "arch.lr": 0.1,
        "file": "p.csv",
    }
    assert [stage.axes_of(run) for run in stage.runs] == [{"n": n, **rest} for n in (1, 2.5, True, "x")]
