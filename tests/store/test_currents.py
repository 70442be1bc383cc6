"""What the library in C tells of runs is what Python reads; and it tells nothing of files that are not as a worker writes them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pydoit_sc import native
from pydoit_sc.linux import exchange
from pydoit_sc.native import PURE, load
from pydoit_sc.store.currents import TOGETHER, QuickCurrents
from pydoit_sc.store.layout import Current
from pydoit_sc.store.looking import read_each
from pydoit_sc.store.stamps import parse_current

Tell = Callable[[bytes], Current | bool | None]

FINGERPRINT = "74612f670812d96c-0-0-0"
RUN_JSON = (
    b'{"fingerprint": "74612f670812d96c-0-0-0", "attempt": "91a99b0cd6-1", "submission": "ab12", "status_code": 0, '
    b'"started": 1795703482.884, "finished": 1795703484.000, "host": "vm", "rank": 0, "cpu_seconds": 0.001, "files": {}}'
)


@pytest.fixture(scope="module")
def quick(library: Path) -> QuickCurrents:
    return QuickCurrents(load(str(library)))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    folder = os.open(tmp_path, os.O_RDONLY)
    yield folder
    os.close(folder)


@pytest.fixture(scope="module")
def tell(quick: QuickCurrents, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tell]:
    """Tell what shows of a run that has this run.json."""
    place = tmp_path_factory.mktemp("store")
    write(place / "run")
    folder = os.open(place, os.O_RDONLY)

    def tell(run_json: bytes) -> Current | bool | None:
        (place / "run" / "run.json").write_bytes(run_json)
        (told,) = quick.tell(folder, [("run", FINGERPRINT)])
        return told

    yield tell
    os.close(folder)


def write(run: Path, run_json: bytes = RUN_JSON, status_code: bytes = b"0") -> None:
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_bytes(run_json)
    (run / "status_code").write_bytes(status_code)


def test_what_a_worker_has_written_is_told(quick: QuickCurrents, root: int, tmp_path: Path) -> None:
    runs, expected = list[tuple[str, str | None]](), list[Current | bool | None]()
    for n in range(TOGETHER):
        key = f"stage/ä \udcff{n}"
        if n % 3:
            write(tmp_path / key, RUN_JSON.replace(b"91a99b0cd6-1", b"%064d" % n))
        runs.append((key, FINGERPRINT))
        expected.append(Current(f"{n:064}", 1.116) if n % 3 else False)
    assert list(quick.tell(root, runs)) == expected
    assert list(quick.tell(root, runs[:4])) == expected[:4]
    assert list(quick.tell(root, [])) == []


def json(old: bytes, new: bytes) -> Callable[[Path], object]:
    assert RUN_JSON.count(old) == 1
    return lambda run: (run / "run.json").write_bytes(RUN_JSON.replace(old, new))


def code(text: bytes) -> Callable[[Path], object]:
    return lambda run: (run / "status_code").write_bytes(text)


def linked(run: Path) -> None:
    for name in ("run.json", "status_code"):
        (run / name).rename(run.parent / name)
        (run / name).symlink_to(f"../{name}")


def dangling(run: Path) -> None:
    (run / "status_code").unlink()
    (run / "status_code").symlink_to("nowhere")


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        (run / name).unlink()
        make(run / name)

    return change


def link_to_nothing(run: Path) -> None:
    run.rename(f"{run}-away")
    run.symlink_to("nowhere")


def without_clock(run: Path) -> None:
    text = (run / "run.json").read_bytes().replace(b"1795703482.884", b"0000000000.000")
    (run / "run.json").write_bytes(text.replace(b"1795703484.000", b"0000000000.001"))


def a_file(run: Path) -> None:
    run.rename(f"{run}-away")
    run.touch()


#: What may have become of a run of which all was well; and whether it is still plainly current.
ODD: dict[str, tuple[Callable[[Path], object], bool]] = {
    "as it was": (lambda run: None, True),
    "no submission": (json(b'"submission": "ab12", ', b""), True),
    "no attempt": (json(b"91a99b0cd6-1", b""), True),
    "no time": (json(b"1795703484.000", b"1795703482.884"), True),
    "long": (json(b"{}}", b"{}, " + b" " * 60_000 + b"}"), True),
    "links": (linked, True),
    "another fingerprint": (json(b"-0-0-0", b"-0-0-1"), False),
    "a longer fingerprint": (json(b"-0-0-0", b"-0-0-00"), False),
    "no fingerprint": (json(b"74612f670812d96c-0-0-0", b""), False),
    "a long attempt": (json(b"91a99b0cd6-1", b"a" * 65), False),
    "an odd attempt": (json(b"91a99b0cd6-1", b"../a"), False),
    "escaped": (json(b"ab12", rb"\"\u00e4"), False),
    "failed": (json(b'"status_code": 0', b'"status_code": 7'), False),
    "another number": (json(b"1795703484.000", "١795703484.000".encode()), False),
    "fewer decimals": (json(b"1795703484.000", b"1795703484.0"), False),
    "more decimals": (json(b"1795703484.000", b"1795703484.0000"), False),
    "a larger number": (json(b"1795703484.000", b"17957034840.000"), False),
    "an underscore": (json(b"1795703484.000", b"1_795703484.000"), False),
    "backwards": (json(b"1795703484.000", b"1795703482.883"), False),
    "very slow": (json(b"1795703484.000", b"1999999999.000"), False),
    "no beginning": (json(b"1795703482.884", b"0000000000.000"), False),
    "a zero byte": (json(b'"host"', b'"h\0ost"'), False),
    "a zero byte later": (json(b'"rank"', b'"r\0ank"'), True),
    "torn": (lambda run: os.truncate(run / "run.json", 300), False),
    "a line feed": (json(b"{}}", b"{}}\n"), False),
    "empty": (lambda run: os.truncate(run / "run.json", 0), False),
    "huge": (json(b"{}}", b"{}, " + b" " * 70_000 + b"}"), False),
    "a block": (json(b"{}}", b"{}, " + b" " * ((1 << 16) - len(RUN_JSON) - 2) + b"}"), False),
    "gone": (lambda run: (run / "run.json").unlink(), False),
    "a folder": (instead("run.json", Path.mkdir), False),
    "a pipe": (instead("run.json", os.mkfifo), False),
    "code: empty": (code(b""), False),
    "code: 1": (code(b"1"), False),
    "code: spaces": (code(b" 0\r\n"), False),
    "code: a zero byte": (code(b"0\0"), False),
    "code: two digits": (code(b"00"), False),
    "code: another zero": (code("٠".encode()), False),
    "code: huge": (code(b"0" * 70_000), False),
    "code: gone": (lambda run: (run / "status_code").unlink(), False),
    "code: a folder": (instead("status_code", Path.mkdir), False),
    "code: a pipe": (instead("status_code", os.mkfifo), False),
    "code: a link to nothing": (dangling, False),
    "a file": (a_file, False),
    "a link to nothing": (link_to_nothing, False),
    "without a clock": (without_clock, False),
    "no permission": (lambda run: (run / "run.json").chmod(0), os.geteuid() == 0),
}


def answer(folder: Path, fingerprint: str | None) -> object:
    """Return what is found of a run and of others, or the error."""
    try:
        return list(read_each(str(folder), ["stage/run", "stage/none", "stage/other"], [fingerprint] * 3))
    except OSError as error:
        return error.errno, error.filename


@pytest.fixture
def answers(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str | None], Sequence[object]]:
    """What is found with the library, and without it."""

    def answers(fingerprint: str | None) -> Sequence[object]:
        monkeypatch.setattr(native, "LIBRARY", str(library))
        monkeypatch.delenv(PURE, raising=False)
        found = answer(tmp_path, fingerprint)
        monkeypatch.setenv(PURE, "1")
        return found, answer(tmp_path, fingerprint)

    return answers


@pytest.mark.parametrize("odd", ODD)
def test_odd_files_are_read_as_without_the_library(
    odd: str,
    answers: Callable[[str | None], Sequence[object]],
    quick: QuickCurrents,
    root: int,
    tmp_path: Path,
) -> None:
    run = tmp_path / "stage" / "run"
    write(run)
    write(run.with_name("other"))
    change, is_plain = ODD[odd]
    change(run)
    (told,) = quick.tell(root, [("stage/run", FINGERPRINT)])
    assert (told is not None) == is_plain
    assert list(quick.tell(root, [("stage/run", None)])) == [None]
    for fingerprint in (FINGERPRINT, "another", None):
        found, expected = answers(fingerprint)
        assert found == expected


@given(st.lists(st.tuples(st.integers(0, len(RUN_JSON) - 1), st.integers(0, 255)), max_size=3))
def test_what_anybody_has_made_of_it_is_told_as_python_does(tell: Tell, edits: list[tuple[int, int]]) -> None:
    text = bytearray(RUN_JSON)
    for at, byte in edits:
        text[at] = byte
    assert tell(bytes(text)) in (None, parse_current(b"0", bytes(text), FINGERPRINT))


@given(st.integers(1, 9_999_000_000_000), st.integers(0, 999_999_999))
def test_how_long_it_took_is_what_python_says(tell: Tell, started: int, took: int) -> None:
    text = RUN_JSON.replace(b"1795703482.884", b"%010d.%03d" % divmod(started, 1000))
    text = text.replace(b"1795703484.000", b"%010d.%03d" % divmod(started + took, 1000))
    expected = parse_current(b"0", text, FINGERPRINT)
    assert expected and tell(text) == expected


def test_outcomes_are_not_mixed_where_a_run_is_replaced_meanwhile(
    quick: QuickCurrents, root: int, tmp_path: Path
) -> None:
    """Folders are swapped all the time: one that is current, one of another fingerprint, one that has failed."""
    write(tmp_path / "run")
    write(tmp_path / "1", RUN_JSON.replace(b"-0-0-0", b"-0-0-1").replace(b"91a99b0cd6", b"other"))
    write(tmp_path / "2", RUN_JSON.replace(b'"status_code": 0', b'"status_code": 7'), b"7")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for other in "12":
                exchange(str(tmp_path / other), str(tmp_path / "run"))

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        told = {one for _ in range(50) for one in quick.tell(root, [("run", FINGERPRINT)] * TOGETHER)}
    finally:
        stop.set()
        thread.join()
    assert told <= {None, Current("91a99b0cd6-1", 1.116)}
