"""Lists of commands alone: what a command is, and how its run is known."""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import time
from pathlib import Path

import pytest

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile import BatchfileError, load, plainlist
from tests.batchfile.conftest import Problems, Write

A = hashlib.sha256(b"echo a").hexdigest()[:12]
B = hashlib.sha256(b"echo b").hexdigest()[:12]


def runs(batch: Batch) -> list[tuple[str, str]]:
    (stage,) = batch.stages
    assert stage.named
    assert [run.key for run in stage.runs] == [run.name for run in stage.runs]
    return [(run.name, run.cmd) for run in stage.runs]


@pytest.mark.parametrize(
    "text",
    [
        "echo a\necho b\n",
        "echo a\necho b",
        "\ufeffecho a\r\necho b\r\n",
        "# first\n\n  echo a\t\n   \n#echo c\n\t# x\necho b  \n\n",
    ],
)
@pytest.mark.parametrize("name", ["cmds.txt", "cmds", "CMDS.TXT", "a.list"])
def test_a_command_is_a_line(make: Write, text: str, name: str) -> None:
    assert runs(make(text, name, remote_output_path="/out")) == [(A, "echo a"), (B, "echo b")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('["echo a", "echo b"]', "jobs.json"),
        ('"echo a"\n\n"echo b"\n', "jobs.jsonl"),
        ("- echo a\n- echo b\n", "jobs.yaml"),
        ("runs:\n- echo a\n- echo b\n", "jobs.yml"),
        ('{"runs": ["echo a", "echo b"]}', "jobs"),
        ('[\n "echo a",\n "echo b"\n]\n', "jobs.txt"),
        ("- echo a\n- echo b\n", "jobs"),
    ],
)
def test_lists_of_strings(make: Write, text: str, name: str) -> None:
    assert runs(make(text, name, remote_output_path="/out")) == [(A, "echo a"), (B, "echo b")]


def test_strings_and_tables_in_one_list(make: Write) -> None:
    (stage,) = make('["echo a", {"cmd": "echo b"}]', "a.json", remote_output_path="/out").stages
    assert [run.name for run in stage.runs] == [A, "1"]
    assert not stage.named


@pytest.mark.parametrize(
    "line",
    [
        "FOO=1 python work.py --lr=1e-3",
        "[ -f x ] && echo x",
        '[ "$x" = y ] || exit 1',
        "{ echo a; echo b; }",
        "./work.py 'a,b' c",
        ": > file",
        "echo key: value",
        "python -c 'print({1: 2})'",
        "日本 --x",
        "a\vb\x0cc\x85d\u2028e",
        "echo a; # and more",
    ],
)
def test_what_looks_like_another_format_is_a_command(make: Write, line: str) -> None:
    assert [run[1] for run in runs(make(f"{line}\ntrue\n", "a.txt", remote_output_path="/out"))] == [
        line,
        "true",
    ]


def test_names_do_not_depend_on_positions(make: Write) -> None:
    before = runs(make("echo a\necho b\n", "a.txt", remote_output_path="/out"))
    after = runs(make("echo c\n# new\necho b\necho a\n", "a.txt", remote_output_path="/out"))
    assert set(before) < set(after)


def test_equal_commands_are_runs_of_their_own(make: Write) -> None:
    found = runs(make("echo a\necho b\necho a\necho a\n", "a.txt", remote_output_path="/out"))
    assert [name for name, _ in found] == [A, B, f"{A}-2", f"{A}-3"]


def test_commands_that_share_a_short_digest(make: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plainlist, "_SHORT", 1)
    commands = [f"echo {i}" for i in range(40)]
    found = dict(runs(make("\n".join([*commands, "echo 1"]), "a.txt", remote_output_path="/out")))
    assert len(found) == 41
    assert {len(name) for name in found} <= {1, 64, 3, 66}
    random.Random(1).shuffle(commands)
    assert dict(runs(make("\n".join([*commands, "echo 1"]), "a.txt", remote_output_path="/out"))) == found


def test_where_its_commands_run(make: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert make("true", "a.txt", remote_output_path="out").folder == tmp_path / "here"
    batch = make('["true"]', "a.json", remote_output_path="out")
    assert batch.folder == tmp_path
    assert batch.remote_output_path == f"file://{tmp_path}/here/out"
    assert batch.words == ("-f", f"{tmp_path}/a.json", "--to", f"file://{tmp_path}/here/out")


def test_in_a_batchfile(make: Write, tmp_path: Path) -> None:
    (tmp_path / "cmds.txt").write_text("echo a\necho b\n")
    batch = make('[batch]\nremote_output_path = "out"\nruns_from = "cmds.txt"\ntimeout = 5\n')
    assert runs(batch) == [(A, "echo a"), (B, "echo b")]
    assert batch.stages[0].runs[0].settings.timeout == 5
    assert batch.folder == tmp_path


def from_standard_input(data: bytes, **options: str) -> Batch:
    """Load what standard input has."""
    own = os.dup(0)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        os.dup2(file.fileno(), 0)
        try:
            return load("-", **options)
        finally:
            os.dup2(own, 0)
            os.close(own)


def test_a_place_that_is_none(problems: Problems) -> None:
    (line,) = problems("true\n", "a.txt", remote_output_path="s3:/b/out")
    assert line == "a.txt: --to: `s3:/b/out` is no URL; is `s3://b/out` meant?"


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    batch = from_standard_input(b"echo a\necho b", remote_output_path="out")
    assert runs(batch) == [(A, "echo a"), (B, "echo b")]
    assert (batch.folder, str(batch.path), batch.name) == (tmp_path, "standard input", tmp_path.name)
    assert batch.words == ("-f", "-", "--to", f"file://{tmp_path}/out")
    assert runs(from_standard_input(b'["echo a"]', remote_output_path="out")) == [(A, "echo a")]
    assert not from_standard_input(b'{"cmd": "x"}\n{"cmd": "y"}', remote_output_path="out").stages[0].named


@pytest.mark.parametrize(
    ("data", "options", "answer"),
    [
        (b"", {"remote_output_path": "out"}, "standard input: empty file"),
        (b"true\n", {}, "standard input: nothing says where the outputs go: add `--to FOLDER`"),
        (b"true\nx\xff\n", {"remote_output_path": "out"}, "standard input:2:2: not UTF-8 at byte 6 (0xff)"),
    ],
)
def test_what_is_wrong_with_standard_input(data: bytes, options: dict[str, str], answer: str) -> None:
    with pytest.raises(BatchfileError) as caught:
        from_standard_input(data, **options)
    assert str(caught.value).startswith(answer)


TABLE = "id,cmd,retries\none,echo a,\ntwo,echo b,2\n"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (TABLE, "jobs.csv"),
        (TABLE, "jobs"),
        (TABLE.replace(",", "\t"), "jobs.tsv"),
        (TABLE.replace(",", "\t"), "jobs"),
        ("id\tcommand\none\techo a\ntwo\techo b\n", "jobs.tsv"),
        ("id,name,cmd\none,,echo a\ntwo,x,echo b\n", "jobs.csv"),
    ],
)
def test_names_from_a_column(make: Write, text: str, name: str) -> None:
    batch = make(text, name, remote_output_path="/out", names="id")
    assert runs(batch) == [("one", "echo a"), ("two", "echo b")]
    assert batch.words[-2:] == ("--names", "id")


@pytest.mark.parametrize(
    ("text", "name", "names", "answer"),
    [
        (TABLE, "a.csv", "idd", "a.csv: no column `idd`, which `--names` wants; did you mean `id`?"),
        (TABLE.replace("two", "one"), "a.csv", "id", "a.csv:3: [1].name: `one` is twice the name"),
        (TABLE.replace("two", ""), "a.csv", "id", "a.csv:3: [1].name: a name is not empty"),
        (TABLE.replace("retries", "retry"), "a.csv", "id", "a.csv: unknown column `retry`; did you mean `retries`?"),
        ("true\n", "a.txt", "id", "a.txt: `--names` takes the names of runs from a column of a CSV or TSV file"),
        ("[]", "a.json", "id", "a.json: `--names` takes"),
        ("[batch]\n", "a.toml", "id", "a.toml: `--names` takes"),
    ],
)  # fmt: skip
def test_bad_names(problems: Problems, text: str, name: str, names: str, answer: str) -> None:
    (line,) = problems(text, name, remote_output_path="/out", names=names)
    assert line.startswith(answer)


@pytest.mark.parametrize(
    ("text", "name", "answer"),
    [
        ("true\n", "a.txt", "a.txt: nothing says where the outputs go: add `--to FOLDER`, or a URL"),
        (b"true\necho \xff\n", "a.txt", "a.txt:2:6: not UTF-8 at byte 10 (0xff)"),
        (b"true\necho \0\n", "a.txt", "a.txt:2:6: a NUL character; is this a text file?"),
        ("", "a.txt", "a.txt: empty file"),
        (
            "true\npython x \\\n  --a\n",
            "a.txt",
            "a.txt:2: a command is one line, and this one ends in a backslash",
        ),
        ("import os\nos.remove('x')\n", "fit.py", "fit.py: no run list, and perhaps a program"),
        ("rm -rf $A/x\n", "clean.sh", "clean.sh: no run list, and perhaps a program"),
        ("#!/bin/sh\ntrue\n", "clean", "clean: no run list, and perhaps a program"),
        (f"true\n\n{'a' * 200_000}\n", "a.txt", "a.txt:3: [1].cmd: a command has at most 131,071 bytes"),
        ('["true", ""]', "a.json", "a.json:1:10: [1].cmd: the command is empty"),
        ('["true", 3]', "a.json", "a.json:1:10: [1]: expected a run (a table with `cmd`), found 3"),
    ],
)
def test_what_is_no_list(problems: Problems, text: str | bytes, name: str, answer: str) -> None:
    options = {} if "where the outputs go" in answer else {"remote_output_path": "/out"}
    (line,) = problems(text, name, **options)
    assert line.startswith(answer)


def test_many_lines_are_quick(make: Write) -> None:
    text = "".join(f"python3 work.py --input data/{i}.csv --output out/{i}.json\n" for i in range(30_000))
    before = time.process_time()
    assert len(runs(make(text, "a.txt", remote_output_path="/out"))) == 30_000
    assert time.process_time() - before < 2  # 0.2 on an idle machine
