"""Every kind of bad input: where it is, what is wrong, what to do; and never a traceback."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pydoit_sc.batch import Batch
from pydoit_sc.batchfile import BatchfileError, Problem, load
from pydoit_sc.batchfile.batchtables import SyncTable

Problems = Callable[..., list[str]]
HEAD = '[batch]\nremote_output_path = "out"\n'
STAGE = HEAD + '[runs.a]\ncmd = "true"\n'


def deep(opening: str, closing: str, prefix: str = "") -> str:
    return prefix + opening * 100_000 + closing * 100_000


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.toml", "", "a.toml: empty file"),
        ("a.yaml", " \n", "a.yaml: empty file"),
        ("a.yaml", "# nothing\n", "a.yaml: empty file"),
        ("a.toml", b"[batch]\nx = '\xff'", "a.toml:2:6: not UTF-8 at byte 13 (0xff)"),
        ("a.toml", b"\xef\xbb\xbf\xc3\xa9 = '\xff'", "a.toml:1:6: not UTF-8 at byte 9 (0xff)"),
        ("a.json", "{\n \0}", "a.json:2:2: a NUL character; is this a text file?"),
        ("a.toml", "a = 1\nb = = 2", "a.toml:2:5: not TOML: Invalid value"),
        ("a.toml", "[batch", "a.toml:1:7: not TOML: Expected ']' at the end of a table declaration"),
        ("a.toml", "a = 1\na = 2", "a.toml:2:1: the key `a` is given twice; the first is in line 1"),
        ("a.toml", "a = True", "a.toml:1:5: not TOML: Invalid value; write `true`"),
        ("a.toml", "a = [FALSE, 1]", "a.toml:1:6: not TOML: Invalid value; write `false`"),
        ("a.toml", deep("[", "]", "a = "), "a.toml: nested too deeply to be read"),
        ("a.json", '{"runs": [}', "a.json:1:11: not JSON: Expecting value"),
        ("a.json", '{"runs":\n [{"cmd": "a", "cmd": "b"}]}', "a.json:2:16: the key `cmd` is given twice"),
        ("a.json", '{"runs":\n [{"cmd": NaN}]}', "a.json:2:11: not JSON: NaN is not a number of JSON"),
        ("a.json", '["NaN", -Infinity]', "a.json:1:9: not JSON: -Infinity is not a number of JSON"),
        ("a.json", deep("[", "]"), "a.json: nested too deeply to be read"),
        ("a.jsonl", '{"cmd": "a"}\n\n{"cmd": "b"', "a.jsonl:3:12: not JSON: Expecting ',' delimiter"),
        ("a.jsonl", '{"cmd": "a"}\n{"a": 1, "a": 2}', "a.jsonl:2:10: the key `a` is given twice"),
        ("a.yaml", "runs:\n- cmd: x: y", "a.yaml:2:9: not YAML: mapping values are not allowed in this context"),
        ("a.yaml", "runs:\n- cmd: x\n  cmd: y", "a.yaml:3:3: the key `cmd` is given twice"),
        ("a.yaml", "a: 1\n---\nb: 2", "a.yaml:2:1: not YAML: expected a single document in the stream, but found another document"),
        ("a.yaml", "runs:\n- cmd: !!python/name:os.system\n", "a.yaml:2:8: the tag `!!python/name:os.system` is refused"),
        ("a.yaml", "runs:\n- name: 2024-02-30\n", "a.yaml:2:9: `2024-02-30` cannot be read (day is out of range for month); quote it if it is text"),
        ("a.yaml", "a: &a\n- *a\n", "a.yaml:1:4: an alias contains itself"),
        ("a.yaml", deep("[", "]"), "a.yaml: nested too deeply to be read"),
        ("a.yaml", deep("- ", "x"), "a.yaml: nested too deeply to be read"),
        ("a.yaml", "runs: \x01", "a.yaml:1:7: not YAML: the control character U+0001 is not allowed"),
        ("a.csv", "cmd,cmd\na,b\n", "a.csv:1: the column `cmd` is there twice"),
        ("a.csv", "cmd,name\na,b\n\nc\n", "a.csv:4: expected 2 cells as in the header, found 1"),
        ("a.csv", 'cmd\n"a\nb"\n"a"b\n', "a.csv:4: not CSV: ',' expected after '\"'"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_parsed(
    problems: Problems, name: str, text: str | bytes, expected: str
) -> None:
    assert problems(text, name, remote_output_path="/o") == [expected]


def test_an_alias_bomb_is_refused_at_once(problems: Problems) -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 30)]
    text = "\n".join(["l0: &l0 [x, x]", *levels, "runs: *l29"])
    assert problems(text, "a.yaml", remote_output_path="/o") == [
        "a.yaml:7:5: its aliases write it out to more than 1,000,000 values"
    ]


def test_a_merge_bomb_is_refused_at_once(problems: Problems) -> None:
    levels = [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 10)}]}}" for n in range(1, 30)]
    text = "\n".join(["l0: &l0 {x: 1}", *levels, "runs: *l29"])
    assert "aliases" in problems(text, "a.yaml", remote_output_path="/o")[0]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "no.toml", "no such file"),
        (tmp_path, "is a folder, expected a file"),
        (Path("/dev/zero"), "is a device, expected a file"),
    ):
        with pytest.raises(BatchfileError) as caught:
            load(path)
        assert caught.value.problems == (Problem(str(path), None, None, message),)
    for name in ("a\0b", str(tmp_path / ("x" * 300))):
        with pytest.raises(BatchfileError, match=r"cannot be read"):
            load(name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").touch(mode=0)
    with pytest.raises(BatchfileError, match="Permission denied"):
        load(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nprocs = 0", 'nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found 0'),
        ("nprocs = -1", 'nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found -1'),
        ("nprocs = true", 'nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found true'),
        ('nprocs = "4"', 'nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found "4"'),
        ("nprocs = 4.0", 'nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found 4.0'),
        ("scale = 0", "scale: expected an integer of at least 1, found 0"),
        ("batch_size = true", "batch_size: expected an integer of at least 1, found true"),
        ("retries = -1", "retries: expected an integer of at least 0, found -1"),
        (f"retries = 0x{'f' * 9000}", "retries: expected an integer of at most 1,000,000,000, found a huge number"),
        ("name = 1", 'name: expected a string, found 1; write "1"'),
        ('name = " "', 'name: expected a string that is not empty, found " "'),
        ("env = []", "env: expected a table of environment variables, found an empty list"),
        ('env = { "" = "x" }', "env.'': not the name of an environment variable"),
        ('env = { "A=B" = "x" }', "env.'A=B': not the name of an environment variable"),
        ("env = { A = 1 }", 'env.A: expected a string, found 1; write "1"'),
        ('env = { A = "\\u0000" }', 'env.A: expected a string without NUL characters and surrogates, found "\\u0000"'),
        ('timeout = "fast"', 'timeout: expected a duration such as "90s", "10m", "1.5 h" or "1 day", or a number of seconds, found "fast"'),
        ("timeout = 0", "timeout: expected a duration longer than 0 (leave it out for no limit), found 0"),
        ("timeout = nan", 'timeout: expected a duration such as "90s", "10m", "1.5 h" or "1 day", or a number of seconds, from 0 to 100 years, found nan'),
        ("retry_on = 75", "retry_on: expected a list of status codes, found 75"),
        ("retry_on = [75, 0]", "retry_on[1]: expected a status code from 1 to 255, found 0"),
        ("max_failures = 0", 'max_failures: expected an integer of at least 1 or a share such as "5 %", found 0'),
        ('max_failures = "0 %"', 'max_failures: expected an integer of at least 1 or a share such as "5 %", found "0 %"'),
        ('max_failures = "101%"', 'max_failures: expected an integer of at least 1 or a share such as "5 %", found "101%"'),
        ('scratch = "here"', 'scratch: expected an absolute path, found "here"'),
        ('scratch = "/etc/passwd"', 'scratch: expected a folder, not a file, found "/etc/passwd"'),
        ('scratch = "/etc/passwd/x/y"', 'scratch: expected a folder, not one below a file, found "/etc/passwd/x/y"'),
        ('durable = "no"', 'durable: expected true or false, found "no"'),
        ("storage_options = 1", "storage_options: expected a table, found a number (not shown: it may be a secret)"),
        ("memory = 4", 'memory: expected a size such as "4 GB" or "512 MiB", of at least 1 MB, found 4'),
        ('memory = "4G"', 'memory: expected a size such as "4 GB" or "512 MiB", found "4G"'),
        ("memory = 4e9", 'memory: expected a size such as "4 GB" or "512 MiB", found 4000000000.0'),
        ("nproc = 1", "nproc: unknown key; did you mean `nprocs`?"),
        ('file_dep = ["x"]', "file_dep: belongs in [runs.NAME] or [[runs]]"),
        ('x = 1', "x: unknown key; known are `env`, `timeout`, `grace`, `retries`, `retry_on`, `shell`, `slots`, `memory`, `remote_output_path`, `name`, `nprocs`, `scale`, `batch_size`, `max_failures`, `scratch`, `durable`, `patience`, `min_free_memory`, `storage_options`, `on_failure`, `on_finish`, `runs_from`"),
    ],
)  # fmt: skip
def test_keys_of_the_batch(problems: Problems, key: str, message: str) -> None:
    (line,) = problems(f'{HEAD}  {key}\n[runs.a]\ncmd = "true"\n')
    place, _, rest = line.partition(": ")
    assert rest == f"batch.{message}"
    assert place.startswith("batchfile.toml:3:")
    assert place == "batchfile.toml:3:3" or message.startswith(("env.", "retry_on["))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("5", 'expected a string, found 5; write "5"'),
        ('""', 'expected a string that is not empty, found ""'),
        ('"file://"', "`file://` names no place to write to"),
        (f'"/{"x" * 256}/out"', f"`{'x' * 40}…` has 256 bytes, expected at most 255 between two `/`"),
        (f'"/{"é/" * 1200}out"', "expected a path of at most 3,584 bytes, found 3,604"),
        ('"s3://"', "`s3://` names no place to write to"),
        ('"/"', "the root of the file system is no place for outputs; name a folder"),
        ('"simplecache::s3://b/x"', "expected one URL, found a chain with `::`"),
        ('"a\\nb"', 'expected a string without control characters, found "a\\nb"'),
    ],
)
def test_where_outputs_cannot_go(problems: Problems, written: str, message: str) -> None:
    (line,) = problems(f'[batch]\nremote_output_path = {written}\n[runs.a]\ncmd = "true"\n')
    assert line == f"batchfile.toml:2:1: batch.remote_output_path: {message}"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("s3:/b/x", "`s3:/b/x` is no URL; is `s3://b/x` meant?"),
        ("s3//b/x", "`s3//b/x` is no URL; is `s3://b/x` meant?"),
        (" s3://b/x", "` s3://b/x` is no URL; is `s3://b/x` meant?"),
        ("s3://b//x", "`s3://b//x` is no URL; is `s3://b/x` meant?"),
        ("S3:b/x ", "`S3:b/x ` is no URL; is `s3://b/x` meant?"),
        (
            "s3://arn:aws:s3:us-west-2:1:accesspoint/x/p",
            "`s3://arn:aws:s3:us-west-2:1:accesspoint/x/p` has the ARN of an access point for a bucket; write the alias of that access point, `s3://…-s3alias/…`, which `aws s3control get-access-point` shows",
        ),
        ("$NO_SUCH/x", "the environment variable `NO_SUCH` is not set, or empty"),
        ("s3://${NO_SUCH}/x", "the environment variable `NO_SUCH` is not set, or empty"),
        ("${BUCKET-b}/x", 'expected `$NAME` or `${NAME}`, found "${BUCKET-b}/x"'),
    ],
)
def test_places_that_are_meant_otherwise(problems: Problems, written: str, message: str) -> None:
    run = '[runs.a]\ncmd = "true"\n'
    (line,) = problems(f"[batch]\nremote_output_path = '{written}'\n{run}")
    assert line == f"batchfile.toml:2:1: batch.remote_output_path: {message}"
    (line,) = problems(f"remote_output_path: '{written}'\nruns: [cmd: a]\n", "a.yaml")
    assert line == f"a.yaml:1:1: remote_output_path: {message}"
    if "$" in written:
        lines = problems(
            f"[batch]\nremote_output_path = 'o'\nscratch = '{written}'\n[sync]\nto = '{written}'\n{run}"
        )
        assert lines == [
            f"batchfile.toml:3:1: batch.scratch: {message}",
            f"batchfile.toml:5:1: sync.to: {message}",
        ]


@pytest.mark.parametrize(
    ("url", "written", "message"),
    [
        ("s3://b/x", 'endpint_url = "http://h"', "endpint_url: unknown key; did you mean `endpoint_url`?"),
        ("s3a://b/x", "key = 1234567890123", "key: expected a string, found a number (not shown: it may be a secret); write it in quotes"),
        ("s3://b/x", 'anon = "yes"', 'anon: expected true or false, found a string (not shown: it may be a secret)'),
        ("s3://b/x", 'endpoint_url = "h:9000"', 'endpoint_url: expected a URL, http://… or https://…, found a string (not shown: it may be a secret)'),
        ("s3://b/x", "client_kwargs = 1", "client_kwargs: expected a table, found a number (not shown: it may be a secret)"),
        ("s3://b/x", 'client_kwargs.regin_name = "r"', "client_kwargs.regin_name: unknown key; did you mean `region_name`?"),
        ("s3://b/x", 'client_kwargs.region_name = "a b"', "client_kwargs.region_name: expected the name of a region, such as us-east-1, found a string (not shown: it may be a secret)"),
        ("s3://b/x", 'config_kwargs.read_timeout = "5s"', 'config_kwargs.read_timeout: expected a number of seconds above 0, found a string (not shown: it may be a secret)'),
        ("s3://b/x", "config_kwargs.retries.max_attempt = 3", "config_kwargs.retries.max_attempt: unknown key; did you mean `max_attempts`?"),
        ("gs://b/x", 'projekt = "p"', "projekt: unknown key; did you mean `project`?"),
        ("abfs://b/x", 'acount_name = "a"', "acount_name: unknown key; did you mean `account_name`?"),
    ],
)  # fmt: skip
def test_options_of_stores(problems: Problems, url: str, written: str, message: str) -> None:
    head = f'[batch]\nremote_output_path = "{url}"\n'
    (line,) = problems(f'{head}[batch.storage_options]\n{written}\n[runs.a]\ncmd = "true"\n')
    column = written.partition(" ")[0].rfind(".") + 2
    assert line == f"batchfile.toml:4:{column}: batch.storage_options.{message}"


def test_options_that_are_right(make: Callable[[str], Batch]) -> None:
    for url, written in (
        ("s3://b/x", 'token = "t", config_kwargs = { connect_timeout = 5, retries = { max_attempts = 0 } }'),
        ("gs://b/x", 'token = { type = "service_account" }'),
        ("az://b/x", 'sas_token = "t"'),
        ("sftp://h/x", "whatever = 1"),
    ):
        batch = make(
            f'[batch]\nremote_output_path = "{url}"\nstorage_options = {{ {written} }}\n[runs.a]\ncmd = "true"\n'
        )
        assert batch.storage_options


def test_variables_in_places(make: Callable[[str], Batch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "b")
    monkeypatch.setenv("DISK", "/disk")
    batch = make(
        "[batch]\nremote_output_path = 's3://${BUCKET}/$BUCKET-x'\nscratch = '$DISK/s'\n[runs.a]\ncmd = 'echo $BUCKET'\n"
    )
    assert (batch.remote_output_path, batch.scratch) == ("s3://b/b-x", "/disk/s")
    assert batch.stages[0].runs[0].cmd == "echo $BUCKET"


def test_variables_in_what_takes_the_place_of_the_files_own(
    make: Callable[..., Batch], problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`$$` is a `$`, also in the words that name the batch again: a folder may be called so."""
    monkeypatch.setenv("DISK", "/disk")
    assert make(STAGE, remote_output_path="$DISK/${DISK}").remote_output_path == "file:///disk/disk"
    batch = make(STAGE, remote_output_path="/a/$$DISK")
    assert batch.remote_output_path == "file:///a/$DISK"
    assert batch.words[2:] == ("--to", "file:///a/$$DISK")
    assert make(STAGE, remote_output_path=batch.words[3]).remote_output_path == batch.remote_output_path
    assert problems(STAGE, remote_output_path="$NOPE/x") == [
        "batchfile.toml: --to: the environment variable `NOPE` is not set, or empty"
    ]


def test_a_home_in_paths(make: Callable[..., Batch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "jobs.csv").write_text("cmd\ntrue\n")
    batch = make(
        '[batch]\nremote_output_path = "~/o"\nscratch = "~/s"\nruns_from = "~/jobs.csv"\n[sync]\ndirs = ["~/x:y"]\n'
    )
    assert (batch.remote_output_path, batch.scratch) == (f"file://{tmp_path}/o", f"{tmp_path}/s")
    assert batch.table("sync", SyncTable).dirs == (f"{tmp_path}/x:y",)
    assert len(batch.stages[0].runs) == 1
    batch = make(STAGE + 'file_dep = ["~/jobs.csv", "a~"]\n', remote_output_path="~/p")
    assert batch.remote_output_path == f"file://{tmp_path}/p"
    assert batch.stages[0].runs[0].settings.file_dep == (f"{tmp_path}/jobs.csv", "a~")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[runs.a]\ncmd = "a"\n', ["batchfile.toml: batch: no `remote_output_path`: where the outputs go, a URL or a path"]),
        (HEAD, ["batchfile.toml: no runs: expected stages [runs.NAME], a list [[runs]], or `runs_from` in [batch]"]),
        ("batch = 1\nruns = 2\n", [
            "batchfile.toml:1:1: batch: expected a table, found 1",
            "batchfile.toml:2:1: runs: expected stages [runs.NAME] or a list [[runs]], found 2",
        ]),
        (HEAD + "[runs]\n", ["batchfile.toml:3:1: runs: no stage; write [runs.NAME] with `cmd`"]),
        (STAGE + "[slrum]\n", ["batchfile.toml:5:1: slrum: unknown table; did you mean `slurm`?"]),
        (STAGE + "timout = 1\n", ["batchfile.toml:5:1: runs.a.timout: unknown key; did you mean `timeout`?"]),
        (STAGE + "env.A = 1\n", ['batchfile.toml:5:5: runs.a.env.A: expected a string, found 1; write "1"']),
        (STAGE + 'name = "x"\n', ["batchfile.toml:5:1: runs.a.name: only a stage with a matrix names its runs; this one is its own run"]),
        (STAGE + 'file_dep = ["a", \n  1]\n', ["batchfile.toml:6:3: runs.a.file_dep[1]: expected a string, found 1"]),
        (HEAD + "[runs.a]\n", ["batchfile.toml:3:1: runs.a: no `cmd`"]),
        (HEAD + "[runs.a]\ncmd = ''\n", ["batchfile.toml:4:1: runs.a.cmd: the command is empty"]),
        (HEAD + "[runs.a]\ncmd = ' \\n '\n".replace("'", '"'), ["batchfile.toml:4:1: runs.a.cmd: the command is empty"]),
        (HEAD + "[runs.a]\ncmd = 3\n", ["batchfile.toml:4:1: runs.a.cmd: expected a command (a string), found 3"]),
        (HEAD + '[runs.a]\ncmd = "a\\u0000"\n', ["batchfile.toml:4:1: runs.a.cmd: a command has no NUL character"]),
        (HEAD + '[runs]\ncmd = "a"\n', ['batchfile.toml:4:1: runs.cmd: expected a stage (a table), found "a"; a plain list of runs is written [[runs]]']),
        (HEAD + '[runs.split]\ncmd = "a"\n', ["batchfile.toml:3:1: runs.split: `split` is the name of a task of pydoit-sc; give the stage another one"]),
        (HEAD + '[runs."a/b"]\ncmd = "a"\n', ["batchfile.toml:3:1: runs.'a/b': the name of a stage has no `/` and no `:`"]),
        (HEAD + '[runs._a]\ncmd = "a"\n', ["batchfile.toml:3:1: runs._a: the name of a stage does not start with `-` or `_`"]),
        (HEAD + '[runs.".."]\ncmd = "a"\n', ["batchfile.toml:3:1: runs.'..': not the name of a stage: a name has no segment `..`"]),
        (STAGE + 'after = ["b"]\n', ["batchfile.toml:5:10: runs.a.after[0]: no stage `b`"]),
        (STAGE + 'after = ["b:"]\n[runs.b]\ncmd = "x"\n', ["batchfile.toml:5:10: runs.a.after[0]: no name behind the `:`; the whole stage is `b`"]),
        (STAGE + 'after = ["a"]\n', ["batchfile.toml:5:10: runs.a.after[0]: `a` cannot come after itself"]),
        (STAGE + 'after = ["moth"]\n[runs.month]\ncmd = "x"\n', ["batchfile.toml:5:10: runs.a.after[0]: no stage `moth`; did you mean `month`?"]),
        (HEAD + '[[runs]]\ncmd = "a"\nafter = ["x"]\n', ["batchfile.toml:5:1: runs[0].after: makes no sense in a plain list of runs; write stages, [runs.NAME]"]),
        (HEAD + '[[runs]]\ncmd = "a"\n[[runs]]\ncmd = "b"\n[runs.env]\nA = 1\n', ['batchfile.toml:8:1: runs[1].env.A: expected a string, found 1; write "1"']),
        (HEAD + '[[runs]]\ncmd = "a"\nremote_output_path = "x"\n', ["batchfile.toml:5:1: runs[0].remote_output_path: belongs in [batch]"]),
        (HEAD + 'runs_from = "no.csv"\n', ["batchfile.toml:3:1: batch.runs_from: \"no.csv\": no such file"]),
        (HEAD + 'runs_from = "."\n', ["batchfile.toml:3:1: batch.runs_from: \".\": is a folder, expected a file"]),
        (HEAD + f'runs_from = "{"x" * 3000}"\n', [f"batchfile.toml:3:1: batch.runs_from: \"{'x' * 100}"]),
        (HEAD + 'runs_from = "batchfile.toml"\n', ["batchfile.toml:3:1: batch.runs_from: expected a run list in JSON, JSON Lines, YAML, CSV or TSV, or commands, found TOML"]),
    ],
)  # fmt: skip
def test_what_a_batchfile_may_not_say(problems: Problems, text: str, expected: list[str]) -> None:
    found = problems(text)
    for line in expected:
        assert any(one.startswith(line) for one in found), found
    assert len(found) == len(expected)


def test_runs_in_two_places(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "jobs.json").write_text('[{"cmd": "a"}]')
    assert problems(HEAD + 'runs_from = "jobs.json"\n[[runs]]\ncmd = "a"\n') == [
        "batchfile.toml:3:1: batch.runs_from: there are `runs` in this file too; keep one of them"
    ]


def test_a_cycle_is_shown(problems: Problems) -> None:
    stages = "".join(f'[runs.{a}]\ncmd = "x"\nafter = ["{b}"]\n' for a, b in ("ab", "bc", "ca"))
    (line,) = problems(HEAD + stages)
    assert "the stages wait for each other: " in line
    cycle = line.partition("other: ")[2].replace("`", "").split(" after ")
    assert len(cycle) == 4
    assert all((a + b) in ("ab", "bc", "ca") for a, b in itertools.pairwise(cycle))


def test_a_command_is_as_long_as_linux_takes_it(problems: Problems, make: Callable[..., Batch]) -> None:
    text = HEAD + '[runs.a]\ncmd = "{}"\n'
    assert make(text.format("x" * 131_071)).stages
    assert problems(text.format("x" * 131_072)) == [
        "batchfile.toml:4:1: runs.a.cmd: a command has at most 131,071 bytes (Linux takes no more), this one 131,072"
    ]
    assert make(text.format("é" * 65_535)).stages
    assert "this one 131,072" in problems(text.format("é" * 65_536))[0]


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_a_run_list_tells_its_places(problems: Problems, name: str) -> None:
    text = """{"remote_output_path": "/o", "nprocs": 0, "other": 1,
  "runs": [
    {"cmd": "a", "nam": "x"},
    {"cmd": ""}, 3,
    {"cmd": "a", "name": 3, "env": {"A": 1}},
    {"name": "no"},
    {"cmd": "a", "local_results_dir": 1, "timeout": true}]}"""
    assert problems(text, name) == [
        f'{name}:1:30: nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found 0',
        f"{name}:3:18: runs[0].nam: unknown key; did you mean `name`?",
        f"{name}:4:6: runs[1].cmd: the command is empty",
        f"{name}:4:18: runs[2]: expected a run (a table with `cmd`), found 3",
        f'{name}:5:18: runs[3].name: expected a name (a string), found 3; write "3"',
        f'{name}:5:37: runs[3].env.A: expected a string, found 1; write "1"',
        f"{name}:6:5: runs[4]: no `cmd`: the shell command",
        f'{name}:7:18: runs[5].local_results_dir: expected a string, found 1; write "1"',
        (
            f"{name}:7:42: runs[5].timeout: expected a duration such as "
            '"90s", "10m", "1.5 h" or "1 day", or a number of seconds, found true'
        ),
    ]


def test_the_advice_has_the_text_of_the_file(problems: Problems) -> None:
    words = {"A": "NO", "B": "1.10", "C": "12:30", "D": "010", "E": "0x1F", "F": "2024-01-01", "G": "5"}
    read = {"A": "false", "B": "1.1", "C": "750", "D": "8", "E": "31"}
    env = ", ".join(f"{name}: {word}" for name, word in words.items())
    lines = problems(f"remote_output_path: o\nruns:\n- cmd: 007\n  env: {{{env}}}\n", "a.yaml")
    assert (
        lines[0]
        == 'a.yaml:3:3: runs[0].cmd: expected a command (a string), found 007 (which is read as 7); write "007"'
    )
    for line, (name, word) in zip(lines[1:], words.items(), strict=True):
        how = f" (which is read as {read[name]})" if name in read else ""
        assert (
            line.partition(": ")[2]
            == f'runs[0].env.{name}: expected a string, found {word}{how}; write "{word}"'
        )
    (line,) = problems(STAGE + "env = { A = 1.10 }\n")
    assert line.endswith('found 1.10 (which is read as 1.1); write "1.10"')


def test_keys_of_mappings_that_are_merged(problems: Problems, make: Callable[..., Batch]) -> None:
    merged = "defs:\n  x: &x {<<: {A: '1'}, A: '2'}\ny: {<<: *x, B: '3'}\n"
    runs = "remote_output_path: /o\nruns:\n- {cmd: a, env: *x}\n- {cmd: a, env: {<<: *x, A: '4'}}\n"
    first, second = make(merged + runs, "a.yaml").stages[0].runs
    assert (first.settings.env, second.settings.env) == ({"A": "2"}, {"A": "4"})
    assert problems(merged.replace("A: '2'", "A: '2', A: '3'") + runs, "b.yaml") == [
        "b.yaml:2:32: the key `A` is given twice"
    ]


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ("cmd = echo hi  # x", '"echo hi"'),
        ("timeout = 10m", '"10m"'),
        ("after = [month]", '"month"'),
        ("env = {A = x}", '"x"'),
        ('cmd = python -c "x"', "'python -c \"x\"'"),
    ],
)
def test_toml_without_quotes(problems: Problems, line: str, quoted: str) -> None:
    (said,) = problems(f"{HEAD}[runs.a]\n{line}\n")
    assert said.endswith(f"; a text stands in quotes, {quoted}")
    (said,) = problems(f"{HEAD}[batch.storage_options]\nsecret = canary\n[runs.a]\n")
    assert said.endswith("; a text stands in quotes")


def test_variables_that_no_command_can_have(problems: Problems) -> None:
    long = "x" * 140_000
    (said,) = problems(STAGE + f"env.A = '{long}'\n")
    assert said == (
        "batchfile.toml:5:5: runs.a.env.A: a variable has at most 130,000 bytes (Linux takes no more), this one 140,000; "
        "put the text into a file"
    )
    many = "".join(f"A{n} = '{long[:100_000]}'\n" for n in range(6))
    (said,) = problems(STAGE + f"[runs.a.env]\n{many}")
    assert said.startswith("batchfile.toml:5:1: runs.a.env: the variables have 600,012 characters together")


def test_equal_settings_are_not_equal_types(problems: Problems) -> None:
    text = '{"remote_output_path": "/o", "runs": [{"cmd": "a", "retries": 1}, {"cmd": "a", "retries": true}]}'
    assert problems(text, "a.json") == [
        "a.json:1:80: runs[1].retries: expected an integer of at least 0, found true"
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", '[{"cmd": "a"}]', "a.json: nothing says where the outputs go: add `--to FOLDER`, or a URL as in `--to s3://bucket/out`; to a command that writes to another place by `--to`, add `--remote-output-path`"),
        ("a.json", '{"runs": []}', "a.json: nothing says where the outputs go: add `--to FOLDER`, or a URL as in `--to s3://bucket/out`; to a command that writes to another place by `--to`, add `--remote-output-path`"),
        ("a.json", '{"remote_output_path": "/o"}', "a.json: no `runs`; expected a list of runs"),
        ("a.json", '{"remote_output_path": "/o", "runs": {}}', "a.json:1:30: runs: expected a list of runs, found an empty table"),
        ("a.json", '{"remote_output_path": "a::b", "runs": []}', "a.json:1:2: remote_output_path: expected one URL, found a chain with `::`"),
        ("a.json", "3", "a.json: expected a list of runs, or a table with `runs`; found 3"),
    ],
)  # fmt: skip
def test_what_a_run_list_may_not_be(problems: Problems, name: str, text: str, expected: str) -> None:
    assert problems(text, name) == [expected]


def test_columns_of_csv(problems: Problems) -> None:
    assert problems("cmd,tmeout,env\na,b,c\n", "a.csv", remote_output_path="/o") == [
        "a.csv: unknown column `tmeout`; did you mean `timeout`?",
        (
            "a.csv: unknown column `env`; known are `timeout`, `grace`, `retries`, `shell`, `slots`, `memory`, `cmd`, `name`, "
            "`remote_output_path`, `local_results_dir`, `status_code`, `status`"
        ),
    ]
    assert problems("name\nb\n", "a.csv", remote_output_path="/o") == [
        "a.csv: no column `cmd` in the header row"
    ]
    assert problems("cmd,retries\na,1\nb,x\n", "a.csv", remote_output_path="/o") == [
        'a.csv:3: [1].retries: expected an integer of at least 0, found "x"'
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/elsewhere/x", 'expected a path below the batch\'s, `file:///o`, found `file:///elsewhere/x`'),
        ("/o2/x", 'expected a path below the batch\'s, `file:///o`, found `file:///o2/x`'),
        ("s3://o/x", 'expected a path below the batch\'s, `file:///o`, found `s3://o/x`'),
        ("/o/", 'expected a path below the batch\'s, `file:///o`, found `file:///o`'),
        ("file:///o/../x", 'a name has no segment `..`, found "../x"'),
        ("/o/a*b", "a name has no `*`, which is a pattern to file systems, found \"a*b\""),
        (3, 'expected a string, found 3; write "3"'),
    ],
)  # fmt: skip
def test_a_runs_own_path_lies_below_the_batchs(problems: Problems, path: object, message: str) -> None:
    text = json.dumps({"remote_output_path": "/o", "runs": [{"cmd": "a", "remote_output_path": path}]})
    assert [line.partition("_path: ")[2] for line in problems(text, "a.json")] == [message]


def test_an_override_does_not_move_a_runs_own_path(problems: Problems) -> None:
    own = [{"cmd": "b", "remote_output_path": f"/o/{name}"} for name in "xyz"]
    text = json.dumps({"remote_output_path": "/o", "runs": [{"cmd": "a"}, *own]})
    for n, line in enumerate(problems(text, "a.json", remote_output_path="/p"), 1):
        found = f"expected a path below the batch's, `file:///p`, found `file:///o/{' xyz'[n]}`"
        assert line.endswith(f"runs[{n}].remote_output_path: {found}")


def test_duplicate_names_quote_both_places(problems: Problems) -> None:
    text = '{"remote_output_path": "/o", "runs": [\n{"cmd": "a", "name": "1"},\n{"cmd": "b"},\n{"cmd": "c", "name": "1"}]}'
    assert problems(text, "a.json") == [
        (
            "a.json:3:1: runs[1].name: `1` is twice the name, and so the output path, of a run (and 1 run more); "
            "the first is runs[0] (line 2)"
        )
    ]


def test_two_runs_on_one_output_path(problems: Problems) -> None:
    text = '{"remote_output_path": "/o", "runs": [{"cmd": "a", "name": "x"},\n{"cmd": "b", "remote_output_path": "file:///o/x/"}]}'
    (line,) = problems(text, "a.json")
    assert line.startswith(
        "a.json:2:1: runs[1].name: `x` is twice the name, and so the output path, of a run"
    )


def test_nested_outputs(problems: Problems) -> None:
    text = HEAD + '[[runs]]\ncmd = "a"\nname = "a"\n[[runs]]\ncmd = "a"\nname = "a/b/c"\n'
    assert problems(text) == [
        "batchfile.toml:8:1: runs[1].name: the output of `a/b/c` would lie inside that of `a`, runs[0] (line 3)"
    ]


SLOTS = "slots: expected at most 2, the `nprocs`, found 3"


def test_more_slots_than_nprocs(problems: Problems, tmp_path: Path) -> None:
    head = HEAD.replace("[batch]", "[batch]\nnprocs = 2")
    assert problems(head + "slots = 3\n[runs.a]\ncmd = 'a'\n") == [f"batchfile.toml:4:1: batch.{SLOTS}"]
    assert problems(head + "[runs.a]\ncmd = 'a'\nslots = 3\n") == [f"batchfile.toml:6:1: runs.a.{SLOTS}"]
    listed = "[[runs]]\ncmd = 'a'\nslots = 2\n[[runs]]\ncmd = 'b'\nslots = 3\n"
    assert problems(head + listed) == [f"batchfile.toml:9:1: runs[1].{SLOTS}"]
    (tmp_path / "jobs.csv").write_text("cmd,slots\na,2\nb,3\n")
    assert problems(head + "runs_from = 'jobs.csv'\n") == [f"jobs.csv:3: [1].{SLOTS}"]
    runs = json.dumps({"remote_output_path": "/o", "nprocs": 2, "runs": [{"cmd": "a", "slots": 3}]})
    assert problems(runs, "a.json") == [f"a.json:1:65: runs[0].{SLOTS}"]
    assert problems(HEAD + "[runs.a]\ncmd = 'a'\nslots = 0\n") == [
        "batchfile.toml:5:1: runs.a.slots: expected an integer of at least 1, found 0"
    ]


def test_thousands_of_problems_stay_readable(problems: Problems) -> None:
    same = json.dumps({"remote_output_path": "/o", "runs": [{"cmd": "a", "name": "x"}] * 20_000})
    (line,) = problems(same, "a.json")
    assert "(and 19,998 runs more)" in line
    bad = json.dumps({"remote_output_path": "/o", "runs": [{"cmd": 1}] * 20_000})
    lines = problems(bad, "a.json")
    assert len(lines) == 21
    assert lines[-1] == "and 19,980 more"
    lines = problems(f"{HEAD}{''.join(f'x{n} = 1{chr(10)}' for n in range(1000))}")
    assert len(lines) == 21
    assert lines[-1] == "and 981 more"  # there are no runs, either


def test_all_problems_at_once(problems: Problems, tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text("cmd,name\na,..\n")
    assert problems('[batch]\nremote_output_path = 1\nnprocs = 0\nruns_from = "jobs.csv"\n[x]\n') == [
        'batchfile.toml:2:1: batch.remote_output_path: expected a string, found 1; write "1"',
        'batchfile.toml:3:1: batch.nprocs: expected an integer from 1 to 10,000, "cores" or "gpus", found 0',
        "batchfile.toml:5:1: x: unknown table; known are `batch`, `runs`, `sync`, `dask`, `kubernetes`, `local`, `saturn`, `slurm`",
        'jobs.csv:2: [0].name: a name has no segment `..`, found ".."',
    ]


SEEDS = {
    "toml": STAGE
    + """after = ["b"]
env = { "A" = "x", B.C = 1 }
[runs.b]
cmd = 'echo {m.start} "{x}" {c:03d}'
name = "{m.start:%Y}-{x}-{c}"
[runs.b.matrix]
m = { from = 2012-01-31, to = 2012-05-01, every = "1 month", span = "2 days" }
x = ["a b", 1.5, true, 12:00:00]
c = { range = [0, 10, 3] }
include = [{ x = "q", y = 1 }]
exclude = [{ c = 3 }]
[[slurm.x]]
[slurm.x.y]
""",
    "json": '{"remote_output_path": "/o", "nprocs": 3, "runs": [{"cmd": "a\\u00e9", "env": {"A": "1"}, "retry_on": [1]}]}',
    "yaml": "x: &x {retries: 1}\nremote_output_path: /o\nruns:\n- <<: *x\n  cmd: a\n- cmd: |\n    b\n  name: '2020-01-01'\n",
    "jsonl": '{"cmd": "a", "name": "x"}\n{"cmd": "b", "timeout": 3}\n',
    "csv": 'cmd,name,retries\n"a ""b""",x,1\nc,y,\n',
}


WORDS = ["[", "]", "{", "}", '"', "'", "=", ".", ",", "\n", "#", "[[runs]]", "&x", "*x", "!!python/x", "!!int ", "nan", "1e999",
         "0x" + "f" * 9000, "9" * 5000, "{x!r}", "{m}", "\\", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "\0", "é", "-", ": ",
         "2020-13-40", "0000-01-01", "9999-12-31", '"""', "cmd", "runs", "\r", "\x85", "~", "!!binary x", "!!set {a}", "? ", "<<: 3"]  # fmt: skip


def test_a_bad_value_behind_a_merge_key_has_its_place(problems: Problems) -> None:
    """It is read first, while the merge key is still one."""
    text = 'x: &x { retries: 1 }\nruns:\n  - <<: *x\n    cmd: "true"\nnprocs: !!int name\n'
    (line,) = problems(text, "runs.yaml")
    assert line.startswith("runs.yaml:5:9: `name` cannot be read (invalid literal for int()")


@pytest.mark.parametrize("extension", [*SEEDS, "unknown"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_file_is_a_batch_or_an_error(tmp_path: Path, extension: str, data: st.DataObject) -> None:
    text = SEEDS[extension] if extension in SEEDS else data.draw(st.sampled_from(list(SEEDS.values())))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        word = data.draw(
            st.one_of(st.sampled_from(WORDS), st.text(max_size=5), st.just(text[end : end + 20]))
        )
        text = text[:start] + word + text[end:]
    path = tmp_path / f"file.{extension}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(load(path, remote_output_path="/o"), Batch)
    except BatchfileError as error:
        assert str(error)
