"""Failures by kind: what counts as alike, and which line of stderr says what is wrong."""

from __future__ import annotations

import time

import pytest

from pydoit_sc.outcomes import kinds
from pydoit_sc.outcomes.kinds import TAIL, Failure, kinds_of, mask, telling_line


@pytest.mark.parametrize(
    "pair",
    [
        ("no data for 2022-03-07", "no data for 2021-12-31"),
        ("x.py:12: value -1 at 0x7f3a", "x.py:7: value 1.5e-7 at 0x1b"),
        ("line 3, pid 17: 10,000 of 12,000", "line 31, pid 18: 9 of 12"),
        ("[Errno 2] No such file or directory: 'data/a b.csv'", "[Errno 2] No such file or directory: '/x/c d/e.csv'"),
        ("cannot open data/2022-03.csv: denied", "cannot open /data/x/y/: denied"),
        ("GET https://a.example/x?day=1 failed", "GET http://b.example:8080/ failed"),
        ("connect 10.0.0.1:443 refused by node17", "connect 10.1.2.33:80 refused by node3"),
        ("Sat Mar  5 12:00:01 2022 failed", "Mon Dec 12 03:10:59 2022 failed"),
        ("5 Mar 2022 12:00 failed", "17 October 2021 08:30 failed"),
        ("pod worker-7f9c6b8d5-x2x7k evicted", "pod worker-0a1b2c3d4-9k2lq evicted"),
        ("object 1b4e28ba-2fa1-11d2-883f-0016d3cca427", "object 00000000-2fa1-11d2-883f-ffffffffffff"),
        (" 10%|#  | 1/10 [00:01<00:09,  1.00it/s]", " 50%|#  | 5/10 [00:05<00:05,  1.02it/s]"),
    ],
    ids=lambda pair: pair[0],
)  # fmt: skip
def test_alike_but_for_what_differs_from_run_to_run(pair: tuple[str, str]) -> None:
    assert mask(pair[0]) == mask(pair[1])


@pytest.mark.parametrize(
    "pair",
    [
        ("KeyError: 'closing_price'", "KeyError: 'opening_price'"),
        ("KeyError: 'close_1d'", "KeyError: 'open_1d'"),
        ("sh: foo: not found", "sh: bar: not found"),
        ("PermissionError: '/a'", "FileNotFoundError: '/a'"),
        ("it may fail", "it will fail"),
        ("", "x"),
    ],
    ids=lambda pair: pair[1],
)
def test_not_alike(pair: tuple[str, str]) -> None:
    assert mask(pair[0]) != mask(pair[1])


@pytest.mark.parametrize(
    ("tail", "line"),
    [
        (b"", ""),
        (b"\n \n\r\n", ""),
        (b"  all is\n  indented\n", "indented"),
        (b"10%\r50%\rno memory\r\n", "no memory"),
        (b"\xff\xfe\x1b[31mno\x1b[0m\x07\n", "\\xff\\xfeno\x07"),
        ("é日\n".encode(), "é日"),
        (b"Error in f(1) : no\nCalls: g -> f\nExecution halted\n", "Error in f(1) : no"),
        (
            b"begin\njava.io.IOException: no\n\tat A.b(A.java:3)\n\tat A.main(A.java:9)\n",
            "java.io.IOException: no",
        ),
        (b"Execution halted\n", "Execution halted"),
        (b"cut\n" + b"x" * TAIL, "x" * 300),
        (b"end of a line\n" + b"\t at x\n" * TAIL, "at x"),
    ],
)
def test_the_line_that_tells(tail: bytes, line: str) -> None:
    assert telling_line(tail[-TAIL:]) == line


def test_kinds_are_sorted_and_have_their_words() -> None:
    kinds = kinds_of(
        [
            Failure("a:1", 127, "", b"sh: 1: foo: not found\n"),
            Failure("a:2", 1, "", b"KeyError: 'x'\n"),
            Failure("a:3", 143, "timed out after 1 s", b"step 17\n"),
            Failure("a:4", 1, "", b"ValueError: 3\n"),
            Failure("a:5", 143, "timed out after 1 s", b"step 9\n"),
            Failure("a:6", 137, "", None),
            Failure("a:7", 137, "killed by SIGKILL, out of memory", b""),
            Failure("a:8", 2, "", b"KeyError: 'x'\n"),
        ]
    )
    assert [(kind.ended, kind.line, kind.tasks) for kind in kinds] == [
        ("timed out after 1 s", "step 17", ["a:3", "a:5"]),
        ("command not found (127)", "sh: 1: foo: not found", ["a:1"]),
        ("exit 1", "KeyError: 'x'", ["a:2"]),
        ("exit 1", "ValueError: 3", ["a:4"]),
        ("exit 137 (128 + SIGKILL)", None, ["a:6"]),
        ("killed by SIGKILL, out of memory", "", ["a:7"]),
        ("exit 2", "KeyError: 'x'", ["a:8"]),
    ]


@pytest.mark.parametrize(
    "piece", ["a1", "a/", "'/", "'a/ ", "1a", "-1.", "Mar 1 ", "a.a:", "0x", "deadbeef-", "_1a"]
)
def test_no_line_takes_long(piece: str) -> None:
    tail = (piece * TAIL).encode()[:TAIL]
    began = time.thread_time()
    for _ in range(20):
        mask(telling_line(tail))
    assert time.thread_time() - began < 0.5


def test_so_many_kinds_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_MOST", 3)
    tally = kinds.Tally()
    words = ["alpha", "beta", "gamma", "delta", "alpha", "eta"]
    assert [tally.add(Failure(word, 1, "", word.encode())) for word in words] == [True] * 4 + [False] * 2
    found = {kind.line: len(kind.tasks) for kind in tally.kinds()}
    assert found == {"alpha": 2, None: 2, "beta": 1, "gamma": 1}
