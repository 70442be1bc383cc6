"""Placeholders in all the texts of a stage with a matrix: `env`, `file_dep` and `timeout`, beside `cmd` and `name`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pydoit_sc.batch import Batch, RunSet, Settings
from pydoit_sc.fingerprint import FileDigests

Make = Callable[..., Batch]
Problems = Callable[..., list[str]]

HEAD = "[batch]\nremote_output_path = '/o'\nenv = { A = '{literal}' }\n[runs.s]\ncmd = 'x {a}'\n"


def stage(keys: str, axis: str = "['p', 'q']") -> str:
    return f"{HEAD}{keys}\n[runs.s.matrix]\na = {axis}\n"


def settings(batch: Batch) -> list[Settings]:
    return [run.settings for run in batch.stages[0].runs]


def test_each_run_has_its_own_settings(make: Make) -> None:
    keys = "file_dep = ['work.py', 'data/{a}-*.csv']\ntimeout = '{a}0 s'\nenv = { B = 'it is {a:>3}', C = '{{}}' }"
    first, second = settings(make(stage(keys, "[1, 2]")))
    assert first == Settings(
        {"A": "{literal}", "B": "it is   1", "C": "{}"}, ("work.py", "data/1-*.csv"), timeout=10.0
    )
    assert (second.env["B"], second.file_dep[1], second.timeout) == ("it is   2", "data/2-*.csv", 20.0)


def test_runs_with_the_same_settings_share_them(make: Make) -> None:
    text = stage("file_dep = ['{a}']\ntimeout = 60") + "b = { range = [0, 3] }\n"
    found = settings(make(text))
    assert len({id(one) for one in found}) == 2
    assert len({id(one.env) for one in found}) == 1
    plain = settings(make(stage("file_dep = ['in']\nenv = { B = 'b' }")))
    assert plain[0] is plain[1]


@pytest.mark.parametrize("bad", ["{zzz}", "{a", "a}", "{}", "{a!r}", "{a.b}"])
@pytest.mark.parametrize(
    ("keys", "place", "key"),
    [
        ("file_dep = ['in',\n  '{bad}']", "7:3", "runs.s.file_dep[1]"),
        ("env = { B = '1', C = '{bad}' }", "6:18", "runs.s.env.C"),
        ("[runs.s.env]\nB = '1'\nC = '{bad}'", "8:1", "runs.s.env.C"),
        ("timeout = '{bad}'", "6:1", "runs.s.timeout"),
        ("name = '{bad}'", "6:1", "runs.s.name"),
    ],
)
def test_a_brace_that_is_no_placeholder_is_an_error_at_its_place(
    problems: Problems, bad: str, keys: str, place: str, key: str
) -> None:
    (line,) = problems(stage(keys.replace("{bad}", bad)))
    assert line.startswith(f"batchfile.toml:{place}: {key}: "), line


@pytest.mark.parametrize(
    ("keys", "axis", "message"),
    [
        ("timeout = '{a}'", "['1h', 'soon']", ('6:1: runs.s.timeout: expected a duration such as "90s", "10m", "1.5 h" or "1 day", '
         'or a number of seconds, found "soon" (in the combination a="soon")')),
        ("timeout = '{a} s'", "[1, 0]", ("6:1: runs.s.timeout: expected a duration longer than 0 (leave it out for no limit), "
         'found "0 s" (in the combination a=0)')),
        ("file_dep = ['{a}']\nname = 'n{a}'", "['x', '']", ('6:13: runs.s.file_dep[0]: expected a string that is not empty, '
         'found "" (in the combination a="")')),
        (f"env = {{ B = '{'{a:>9000}' * 16}' }}", "['x']", ("6:9: runs.s.env.B: a variable has at most 130,000 bytes (Linux takes no "
         "more), this one 144,000; put the text into a file (in the combination a=\"x\")")),
    ],
)  # fmt: skip
def test_a_value_that_spoils_a_text(problems: Problems, keys: str, axis: str, message: str) -> None:
    assert problems(stage(keys, axis)) == [f"batchfile.toml:{message}"]


def test_variables_that_are_too_much_together(problems: Problems) -> None:
    env = "".join(f"V{n} = '{{a:>9999}}'\n" for n in range(60))
    (line,) = problems(stage(f"[runs.s.env]\n{env}"))
    assert line == (
        "batchfile.toml:6:1: runs.s.env: the variables have 600,120 characters together, and 500,000 are taken at most; put the "
        'texts into files (in the combination a="p")'
    )


def test_without_a_matrix_braces_are_literal(make: Make, problems: Problems) -> None:
    (run,) = make(f"{HEAD}file_dep = ['{{a}}']\nenv = {{ B = '}}{{' }}").stages[0].runs
    assert (run.cmd, run.settings.file_dep, run.settings.env["B"]) == ("x {a}", ("{a}",), "}{")
    assert problems(f"{HEAD}timeout = '{{a}}'") == [
        (
            'batchfile.toml:6:1: runs.s.timeout: expected a duration such as "90s", "10m", "1.5 h" or "1 day", or a number of '
            'seconds, found "{a}"; placeholders need a matrix'
        )
    ]


def test_a_value_in_file_dep_means_itself(make: Make, tmp_path: Path) -> None:
    for name in ("a[1].csv", "a1.csv", "*.csv", "b*.log", "bc.log", "x?1.txt", "xy1.txt"):
        (tmp_path / name).write_text(name)
    digests = FileDigests(tmp_path)

    def files(template: str, value: str) -> list[tuple[str, ...]]:
        return [one.file_dep for one in settings(make(stage(f"file_dep = ['{template}']", f"['{value}']")))]

    for template, value, same in [
        ("{a}", "a[1].csv", "a[1].csv"),
        ("{a}.csv", "*", "*.csv"),
        ("{a}.log", "b*", "b*.log"),
        ("{a}*.txt", "x?", "x?1.txt"),
        ("{a!s}*.csv", "a[1]", "a1.csv"),
        ("{a!s}1.txt", "x[y]", "xy1.txt"),
    ]:
        (patterns,) = files(template, value)
        assert digests.digest(patterns) == digests.digest((same,)), (template, value)


def test_a_value_in_after_is_no_pattern(problems: Problems, make: Make) -> None:
    text = """
[batch]
remote_output_path = "out"
[runs.a]
cmd = "true"
name = "{x}"
matrix = { x = ["p1", "p2"] }
[runs.b]
cmd = "true {y!s}"
name = "b"
after = ["a:{y}"]
matrix = { y = ["p*"] }
"""
    assert any("no run of `a` matches `p[*]`" in line for line in problems(text))
    (run,) = make(text.replace("a:{y}", "a:{y!s}")).stages[1].runs
    assert isinstance(run.after[0], RunSet) and len(run.after[0].members) == 2


def test_all_bad_placeholders_are_told(problems: Problems, tmp_path: Path) -> None:
    """Each of a text once, and a value that a format does not take with a combination that has it."""
    (tmp_path / "p.csv").write_text("id\n7\nx\n")
    text = HEAD.replace("x {a}", "{r.id:5.1f} {r.idd} {a:d} {zzz} {after.s} {r.idd} {b:%Y}")
    axes = "[runs.s.matrix]\nr = { csv = 'p.csv' }\na = [1, 'p']\nb = [2012-01-01]\n"
    known = "`{a}`, `{b}`, `{r.id}`; write `{{` and `}}` for braces"
    assert [line.removeprefix("batchfile.toml:5:1: runs.s.cmd: ") for line in problems(text + axes)] == [
        '`{r.id:5.1f}`: expected a number for `:5.1f`, found "x" (in the combination r.id="x", a=1, b=2012-01-01)',
        "unknown placeholder `{r.idd}`; did you mean `{r.id}`?",
        '`{a:d}`: expected an integer for `:d`, found "p" (in the combination r.id="7", a="p", b=2012-01-01)',
        f"unknown placeholder `{{zzz}}`; known are {known}",
        "`{after.s}` is the output of a run of `s`, and `after` names none",
    ]
