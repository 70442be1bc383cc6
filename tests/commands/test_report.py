"""`report`: one HTML file, from what the store has."""

from __future__ import annotations

import json
import os
from pathlib import Path

import fsspec
import pytest

from pydoit_sc.cli import main
from tests.conftest import HEAD, Box
from tests.report.values import BEGUN, read_page, unpack
from tests.s3 import KEYS

#: Text that would be obeyed by a page that does not escape it.
HOSTILE = "</script></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\u2028${x}`{{7*7}}\x1b[31m\u202e"
BATCH = (
    HEAD
    + """
[runs.fit]
cmd = "fit {day.start} {model}"
matrix = { day = { from = 2022-03-01, to = 2022-03-03, every = "1 day" }, model = ["a", "b"] }
[runs.end]
cmd = "end"
"""
)


def outcome(box: Box, key: str, code: int = 0, stderr: str = "", **more: object) -> None:
    """Put the outcome of a run into the store."""
    stamp = {
        "attempt": "w1-1", "fingerprint": "", "status_code": code, "started": BEGUN, "finished": BEGUN + 90.0,
        "host": "node1", "rank": 3, "cpu_seconds": 45.0, "peak_memory": 1_234_000_000, **more,
    }  # fmt: skip
    for name, text in {"status_code": str(code), "stderr": stderr, "run.json": json.dumps(stamp)}.items():
        box.write(f"out/{key}/{name}", text)


def made(box: Box, *words: str) -> bytes:
    """Return the page that the command writes."""
    page = box.folder / "page.html"
    assert main(["report", "-f", str(box.folder), "--to", str(page), *words]) == 0
    return page.read_bytes()


@pytest.fixture
def fitted(box: Box) -> Box:
    """A batch of seven runs: four are completed, two have failed, one is not begun."""
    box.batchfile(BATCH)
    for day in (1, 2):
        outcome(box, f"fit/2022-03-0{day}_a", finished=BEGUN + day)
        outcome(box, f"fit/2022-03-0{day}_b", 1, f"step {day}\nKeyError: 'x{day}'\n")
    outcome(box, "fit/2022-03-03_a", attempt="w2-1", host="node2", started=BEGUN + 5, finished=BEGUN + 9)
    outcome(box, "end", rank=0)
    return box


def test_a_page_of_a_batch(fitted: Box, capsys: pytest.CaptureFixture[str]) -> None:
    page = made(fitted)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{fitted.folder}/page.html: 7 runs\n")
    text = "|".join(read_page(page).texts)
    assert "|4|completed|57 %|2|failed|29 %|1|incomplete|14 %|" in text
    assert "|2 × exit 1| |KeyError: 'x1'|" in text
    assert "|fit:2022-03-01_b, fit:2022-03-02_b |" in text
    assert "--group 1|" in text
    assert "|step 1\nKeyError: 'x1'|" in text
    assert "fit:2022-03-03_a, completed, 4 s" in text
    assert "2022-03-01, b, 1 failed" in text
    table = unpack(page)
    assert table["Run"][0] == "fit:2022-03-01_a"
    assert table["Status"] == [
        "completed",
        "failed",
        "completed",
        "failed",
        "completed",
        "incomplete",
        "completed",
    ]
    assert table["Duration"] == [1, 90, 2, 90, 4, None, 90]
    assert (table["CPU"][0], table["Memory"][0], table["Rank"][0]) == (45, 1_234_000_000, 3)
    assert table["Host"] == ["node1"] * 4 + ["node2", "", "node1"]
    assert table["day"][4:] == ["2022-03-03", "2022-03-03", ""]
    assert table["model"] == ["a", "b", "a", "b", "a", "b", ""]
    assert table["group"] == [None, 1, None, 1, None, None, None]
    assert table["Command"][6] == "end"


def test_only_selected_runs(fitted: Box, capsys: pytest.CaptureFixture[str]) -> None:
    page = made(fitted, "fit", "--where", "model=b", "--limit", "2")
    assert unpack(page)["Run"] == ["fit:2022-03-01_b", "fit:2022-03-02_b"]
    assert "|only fit --where model=b --limit 2| · |" in "|".join(read_page(page).texts)
    assert unpack(made(fitted, "--group", "1"))["group"] == [1, 1]
    os.unlink(fitted.folder / "page.html")
    capsys.readouterr()
    assert main(["report", "-f", str(fitted.folder), "--to", "no.html", "--code", "9"]) == 0
    assert capsys.readouterr().out.startswith("no run matches --code 9: 7 runs, ")
    assert not Path("no.html").exists()


def test_kinds_have_the_numbers_that_other_commands_know(fitted: Box) -> None:
    outcome(fitted, "fit/2022-03-01_a", 3)
    page = made(fitted, "--limit", "1")
    assert unpack(page)["group"] == [2]
    assert "|pydoit-sc run" in (text := "|".join(read_page(page).texts)) and "--group 2|" in text


def test_a_batch_that_has_not_begun_and_one_run(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true"\n')
    empty = made(box)
    assert "Of no run it is known when it was executed." in "|".join(read_page(empty).texts)
    assert unpack(empty) == {"Run": ["a"], "Status": ["incomplete"], "Command": ["true"]}
    outcome(box, "a")
    assert "|1|completed|100 %|" in "|".join(read_page(made(box)).texts)


def test_outcomes_of_sc_have_no_times(box: Box) -> None:
    box.batchfile(HEAD + '[runs.a]\ncmd = "true"\n[runs.b]\ncmd = "false"\n')
    for key, code in (("a", "0"), ("b", "1")):
        box.write(f"out/{key}/status_code", code)
    assert unpack(made(box))["Status"] == ["completed", "failed"]


def test_what_users_write_is_text_everywhere(box: Box) -> None:
    plain = HOSTILE.partition("\x1b")[0]
    name = plain.replace("{{7*7}}", "").replace("=", "-").replace("/", "\\")
    said = [f"{key} = {json.dumps(text)}\n" for key, text in (("name", name), ("cmd", f"echo {HOSTILE}"))]
    box.batchfile(f"{HEAD}name = {json.dumps(plain)}\n[[runs]]\n{''.join(said)}")
    outcome(box, name, 1, HOSTILE + "\n", host=HOSTILE, reason=HOSTILE, attempt="x")
    page = made(box)
    reader = read_page(page)
    tags = [tag for tag, _ in reader.elements]
    assert tags.count("script") == 2
    assert not {"img", "iframe", "object", "embed", "base"} & set(tags)
    names = {name for _, attributes in reader.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | names & {
        "style",
        "src",
        "srcdoc",
        "action",
    }
    links = [attributes["href"] for _, attributes in reader.elements if "href" in attributes]
    assert links == ["#runs"]
    assert "\x1b" not in page.decode() and "\u202e" not in page.decode()
    shown = "</script></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;\\u2028${x}`{{7*7}}"
    text = "|".join(reader.texts)
    assert text.count(shown) >= 3  # the title, the kind of failure, the end of its stderr
    assert unpack(page)["Host"][0].startswith(shown)
    assert unpack(page)["Command"][0].startswith(f"echo {shown}")


def test_only_its_own_script_and_style_may_be_used(fitted: Box) -> None:
    (policy,) = [
        str(attributes["content"])
        for _, attributes in read_page(made(fitted)).elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy


def test_where_it_is_written(
    fitted: Box, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fitted.folder)
    assert main(["report"]) == 0
    assert capsys.readouterr().err == "report.html: 7 runs\n"
    (fitted.folder / "folder.html").mkdir()
    assert main(["report", "--to", "nowhere/a.html"]) == main(["report", "--to", "folder.html"]) == 3
    assert capsys.readouterr().err == (
        "ERROR: --to: nowhere/a.html: No such file or directory\nERROR: --to: folder.html: Is a directory\n"
    )
    (fitted.folder / "last.html").symlink_to("june.HTM")
    for name in ("a.htm", "june.HTM", "last.html", "/dev/null"):
        assert main(["report", "--to", name]) == 0
    assert (fitted.folder / "last.html").is_symlink()
    assert fitted.shell("pydoit-sc report --to /dev/stdout | head -c 15").out == "<!doctype html>"
    piped = fitted("report", "--to", "/dev/stdout")
    assert piped.out.endswith("</html>\n")
    assert piped.err == "/dev/stdout: 7 runs\n"


def test_only_what_is_called_like_a_page_is_replaced(fitted: Box) -> None:
    (fitted.folder / "link.html").symlink_to("batchfile.toml")
    before = (fitted.folder / "batchfile.toml").read_text()
    for name in ("batchfile.toml", "link.html", "out", "-", "new", "", "s3://bucket/a.html"):
        said = f"ERROR: --to: expected a file that ends in .html or .htm, found `{name}`; where the outputs"
        assert fitted("report", f"--to={name}").refused().startswith(said)
    assert (fitted.folder / "batchfile.toml").read_text() == before
    assert {path.name for path in fitted.folder.iterdir()} == {"batchfile.toml", "link.html", "out"}


def test_a_list_of_commands_has_its_place_by_the_long_name(
    box: Box, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(box.folder)
    box.write("cmds.txt", "true\nfalse\n")
    assert main(["report", "cmds.txt", "--remote-output-path", "out", "--to", "a.html"]) == 0
    assert capsys.readouterr().err == "a.html: 2 runs\n"
    assert main(["report", "cmds.txt", "--to", "out"]) == 3
    assert "--remote-output-path" in capsys.readouterr().err


@pytest.mark.slow  # the server
def test_on_s3(fitted: Box, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = unpack(made(fitted))
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3}.items():
        monkeypatch.setenv(name, value)
    files = fsspec.filesystem(
        "s3", key=KEYS["AWS_ACCESS_KEY_ID"], secret=KEYS["AWS_SECRET_ACCESS_KEY"], endpoint_url=s3
    )
    files.mkdir("report")
    files.put(str(fitted.folder / "out"), "report/out", recursive=True)
    assert unpack(made(fitted, "--remote-output-path", "s3://report/out")) == here
