"""Values of several parts: lists of tables, and the CSV files that people have."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.batchfile.conftest import Problems
from tests.batchfile.conftest import Write as Make
from tests.batchfile.test_matrix import combinations, commands, names, stage

ARCH = 'arch = [{ name = "s", lr = 0.1, deep = false, day = 2024-03-01 }, { name = "l x", lr = 1e-3, deep = true, day = 2024-03-02 }]'


def test_the_values_of_tables_keep_their_types(make: Make) -> None:
    batch = make(stage(ARCH, "{arch.name} {arch.lr:g} {arch.lr} {arch.deep} {arch.day:%d.%m.}"))
    assert commands(batch) == ["s 0.1 0.1 false 01.03.", "'l x' 0.001 0.001 true 02.03."]
    assert names(batch) == ["s_0.1_false_2024-03-01", "l-x_0.001_true_2024-03-02"]


def test_tables_may_be_written_as_an_array_of_tables(make: Make) -> None:
    tables = '[[runs.s.matrix.arch]]\nname = "s"\n[[runs.s.matrix.arch]]\nname = "l"'
    assert commands(make(stage(f"n = [1, 2]\n{tables}", "{n}{arch.name}"))) == ["1s", "1l", "2s", "2l"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("{ n = 1, lr = 2 }, { n = 2 }", "a[1]: no `lr`, which the first one has"),
        ("{ n = 1 }, { n = 2, lr = 2 }", "a[1].lr: unknown key; known are `n`"),
        ("{ name = 1 }, { nmae = 2 }", "a[1].nmae: unknown key; did you mean `name`?"),
        ("{ n = 1 }, 2", "a[1]: expected a table with keys, as others of the list are, found 2"),
        ("1, { n = 1 }", "a[0]: expected a table with keys, as others of the list are, found 1"),
        (
            "{ n = 1 }, {}",
            "a[1]: expected a table with keys, as others of the list are, found an empty table",
        ),
        (
            "{ n = 1 }, { n = [1] }",
            "a[1].n: expected a string, a number, true, false or a date, found a list",
        ),
        ('{ "a b" = 1 }', "a[0].'a b': a key has letters, digits, `_` and `-`"),
    ],
)
def test_tables_that_are_no_values(problems: Problems, values: str, said: str) -> None:
    found = dict(line.split(": ", 1)[::-1] for line in problems(stage(f"a = [{values}]")))
    assert found[f"runs.s.matrix.{said}"].startswith("batchfile.toml:6:")


def test_entries_mean_tables_by_some_of_their_keys(tmp_path: Path) -> None:
    changes = """
n = [1, 2]
exclude = [{ arch = { deep = true }, n = 1 }]
include = [{ arch = { name = "s" }, n = 2, e = 5 }, { arch = { name = "m", lr = 1, deep = true, day = 2024-03-03 }, n = 3 }]
"""
    assert combinations(ARCH + changes, tmp_path) == [
        'arch.name="s", arch.lr=0.1, arch.deep=false, arch.day=2024-03-01, n=1',
        'arch.name="s", arch.lr=0.1, arch.deep=false, arch.day=2024-03-01, n=2, e=5',
        'arch.name="l x", arch.lr=0.001, arch.deep=true, arch.day=2024-03-02, n=2',
        'arch.name="m", arch.lr=1, arch.deep=true, arch.day=2024-03-03, n=3',
    ]


def test_a_number_is_not_true_in_a_table(tmp_path: Path) -> None:
    text = "a = [{ x = 1 }, { x = true }]\nexclude = [{ a = { x = true } }]"
    assert combinations(text, tmp_path) == ["a.x=1"]


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ('exclude = [{ arch = { nam = "s" } }]', "exclude[0].arch.nam: unknown key; did you mean `name`?"),
        ('include = [{ arch = { nam = "s" } }]', "include[0].arch.nam: unknown key; did you mean `name`?"),
        ('include = [{ arch = { name = "m" } }]', "include[0].arch: no `lr`, which the first one has"),
        (
            "include = [{ arch = { name = [] } }]",
            "include[0].arch: expected keys of a table or a row, each with a string",
        ),
    ],
)
def test_entries_that_mean_no_table(problems: Problems, entries: str, said: str) -> None:
    first, *_ = problems(stage(f"{ARCH}\n{entries}"))
    assert first.startswith("batchfile.toml:7:")
    assert f"runs.s.matrix.{said}" in first


def rows(make: Make, folder: Path, text: str, cmd: str) -> list[str]:
    (folder / "p.csv").write_text(text)
    return commands(make(stage('row = { csv = "p.csv" }', cmd, "{row.a}")))


@pytest.mark.parametrize(
    ("text", "options", "file"),
    [
        ("a;b\n1;x y\n2;z\n", ', delimiter = ";"', "p.csv"),
        ("a\tb\n1\tx y\n2\tz\n", ', delimiter = "\\t"', "p.csv"),
        ("a\tb\n1\tx y\n2\tz\n", "", "p.tsv"),
        ("a|b\r\n1|x y\r\n2|z\r\n", ', delimiter = "|"', "p.txt"),
        (" a , b \n 1 ,  x y\n2,z \n", "", "p.csv"),
        ('a, b\n1, "x y"\n2, z\n', "", "p.csv"),
        ("# made by hand\n\na,b\n# the first\n1,x y\n  # 3,y\n2,z\n#", "", "p.csv"),
        (",a,b\n0,1,x y\n1,2,z\n", "", "p.csv"),  # pandas' to_csv with its index
        ('"","a","b"\n"1",1,"x y"\n"2",2,"z"\n', "", "p.csv"),  # R's write.csv
        ("a,b,,\n1,x y,,\n2,z,,\n,,,\n , ,,\n\n", "", "p.csv"),  # a spreadsheet
        ("\ufeffa,b\n1,x y\n2,z\n", "", "p.csv"),
    ],
)
def test_the_csv_that_people_have(make: Make, tmp_path: Path, text: str, options: str, file: str) -> None:
    (tmp_path / file).write_text(text)
    batch = make(stage(f'row = {{ csv = "{file}"{options} }}', "{row.a} {row.b}"))
    assert commands(batch) == ["1 'x y'", "2 z"]
    assert names(batch) == ["1_x-y", "2_z"]


def test_a_cell_in_quotes_is_no_comment(make: Make, tmp_path: Path) -> None:
    assert rows(make, tmp_path, 'a,b\n"#f00",1\n2,"x\n# y"\n', "{row.a} {row.b}") == [
        "'#f00' 1",
        "2 'x\n# y'",
    ]


def test_cells_are_written_as_they_stand_and_formatted_as_numbers(make: Make, tmp_path: Path) -> None:
    text = "a,seed,lr,share\nx,7,1e-3,0.5\ny,007,0.10,1\nz,12.0,-2,.25\n"
    cmd = "{row.seed} {row.seed:03.0f} {row.lr} {row.lr:g} {row.share:.0%} {row.a:>2s}"
    assert rows(make, tmp_path, text, cmd) == [
        "7 007 1e-3 0.001 50% ' x'",
        "007 007 0.10 0.1 100% ' y'",
        "12.0 012 -2 -2 25% ' z'",
    ]
    assert rows(make, tmp_path, "a,seed\nx,7\ny,007\n", "{row.seed} {row.seed:04d} {row.seed:>5s}") == [
        "7 0007 '    7'",
        "007 0007 '  007'",
    ]


def test_a_cell_that_is_no_number(problems: Problems, tmp_path: Path) -> None:
    for cell in ("x", "1_0", "0x10", "nan", "٣", "1.5"):
        (tmp_path / "p.csv").write_text(f"a\n1\n{cell}\n")
        (said,) = problems(stage('row = { csv = "p.csv" }', "{row.a:03d}"))
        found = f'`{{row.a:03d}}`: expected an integer for `:03d`, found "{cell}" (in the combination row.a="{cell}")'
        assert said == f"batchfile.toml:4:1: runs.s.cmd: {found}"


def test_entries_mean_cells_as_they_are_written_or_as_numbers(make: Make, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("a,b\n1,x\n2,y\n007,z\n")
    axis = 'row = { csv = "p.csv" }\n'
    entries = 'exclude = [{ row = { a = 1 } }, { row = { a = "2" } }, { row = { a = 7 } }]'
    assert commands(make(stage(axis + entries, "{row.b}"))) == ["z"]
    assert (
        commands(make(stage(axis + 'include = [{ row = { a = "8", b = "n" } }]', "{row.a:02d}{row.b}")))[-1]
        == "08n"
    )


SEVERAL = """\
p.csv:1: the column `a` is there twice
p.csv:1: the column `b` is there twice
p.csv:1: column 3 has no name
p.csv:1: column 6 has no name
p.csv:3: expected 6 cells as in the header, found 1
p.csv:5: expected 6 cells as in the header, found 2"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b,,c\n1,2,3,4\n", "p.csv:1: column 3 has no name"),
        ("# x\n\na,b,a\n1,2,3\n", "p.csv:3: the column `a` is there twice"),
        (
            "# x\na;b\n1;2,5\n",
            (
                'batchfile.toml:6:9: runs.s.matrix.row.csv: "p.csv": expected commas between the columns, found `;`; '
                'give `delimiter = ";"`'
            ),
        ),
        ("a,b\n# x\n1,2\n\n3\n", "p.csv:5: expected 2 cells as in the header, found 1"),
        ("a,b,,a,b,\n1,2,3,4,5,6\n1\n1,2,3,4,5,6\n1,2\n", SEVERAL),
        ('a,b\n# x\n1,2\n"3\n\n4"x,5\n', "p.csv:4: not CSV: ',' expected after '\"'"),
        ("# a,b\n", 'batchfile.toml:6:9: runs.s.matrix.row.csv: "p.csv": no header row'),
        ("a,b\n#1,2\n,\n", 'batchfile.toml:6:9: runs.s.matrix.row.csv: "p.csv": no rows below the header'),
    ],
)
def test_csv_that_is_none(problems: Problems, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    assert problems(stage('row = { csv = "p.csv" }')) == said.splitlines()


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ('csv = "p.csv", delimiter = ";;"', 'row.delimiter: expected one character, such as `;`, found ";;"'),
        ('csv = "p.csv", delimiter = "\\""', "row.delimiter: expected one character, such as `;`"),
        ('csv = "p.csv", delimter = ";"', "row.delimter: unknown key; did you mean `delimiter`?"),
        ('delimiter = ";"', "row: no `csv`: a CSV file"),
    ],
)
def test_bad_tables_of_csv(problems: Problems, axis: str, said: str) -> None:
    (found,) = problems(stage(f"row = {{ {axis} }}"))
    assert f"runs.s.matrix.{said}" in found


def test_a_run_list_is_csv_as_well(make: Make) -> None:
    text = "# ours\ncmd\tname\necho a\tx\n\t\n# echo c\nprintf ','\ty\n"
    batch = make(text, "jobs.tsv", remote_output_path="/o")
    assert [(run.name, run.cmd) for run in batch.stages[0].runs] == [("x", "echo a"), ("y", "printf ','")]


def test_the_place_of_a_run_in_csv_counts_comments_and_blank_rows(problems: Problems) -> None:
    text = "# ours\ncmd,retries\na,1\n# b,1\n,\nc,x\n"
    (said,) = problems(text, "jobs.csv", remote_output_path="/o")
    assert said.startswith("jobs.csv:6: [1].retries: ")
