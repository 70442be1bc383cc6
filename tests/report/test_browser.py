"""The page in a real Chromium: nothing is complained of, charts are drawn, the table can be searched and sorted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydoit_sc.batch import Axes, Run, Settings, Stage, Status
from pydoit_sc.outcomes.kinds import Failure, Kind, kinds_of
from pydoit_sc.report.page import About, page
from pydoit_sc.report.reported import Reported, report_of
from pydoit_sc.sizes import show_size
from pydoit_sc.store import Record
from tests.report.browser import PROGRAM, Page, browser
from tests.report.values import BEGUN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which(PROGRAM), reason="needs Chromium: apt-get install chromium"),
]

MODELS = ("linear", "forest", "boosting", "gp")
HOSTILE = "</script></pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'`${x}&lt;\u2028\u202e"


def fitted(count: int) -> list[Reported]:
    """Return so many runs of days and models on 32 ranks of four machines, with a pause in the middle; some have failed."""
    ranks = [BEGUN] * 32
    runs: list[Run] = []
    axes: list[Axes] = [
        {"day.start": f"20{20 + i // 1120 % 80}-{i // 40 % 12 + 1:02}-{i // 4 % 28 + 1:02}", "model": MODELS[i % 4], "seed": i // 1120}
        for i in range(count)
    ]  # fmt: skip
    stage = Stage("fit", runs, axes=axes.__getitem__)
    found = []
    for i, values in enumerate(axes):
        name = f"{values['day.start']}_{values['model']}_{i}"
        run = Run(
            name,
            f"python fit.py --day {values['day.start']} --model {values['model']} --seed {i}",
            f"fit/{name}",
            Settings(),
            position=i,
        )
        runs.append(run)
        rank = ranks.index(min(ranks))
        seconds = (5 + 20 * (i % 4)) * (1 + i * 7919 % 101 / 100)
        code = 0 if i * 31 % 97 else (1, 137)[i % 2]
        begun = ranks[rank] + (90_000 if i == count // 2 else 0)
        ranks = [begun] * 32 if i == count // 2 else ranks
        ranks[rank] = begun + seconds
        record = Record(
            code,
            f"w{rank // 8}{i * 2 // count}-{i}",
            "f",
            started=begun,
            ended=begun + seconds,
            host=f"node{rank // 8}.example",
            memory=(i % 4 + 1) * 200_000_000 + i * 7919 % 9_999_999,
            rank=rank % 8,
            cpu=0.9 * seconds,
        )
        status = Status.ERROR if code else Status.INCOMPLETE if i % 53 == 5 else Status.COMPLETED
        found.append(report_of(stage, run, status, None if status is Status.INCOMPLETE else record))
    return found  # fmt: skip


def write(
    path: Path, runs: list[Reported], name: str = "weather", stderr: str = "KeyError: 'closing_price'\n"
) -> Path:
    """Write the page about these runs."""
    failed = [(one.task, one.record.code) for one in runs if one.record and one.record.code]
    kinds: list[tuple[int, Kind]] = list(
        enumerate(kinds_of(Failure(task, code, "", stderr.encode()) for task, code in failed), 1)
    )
    path.write_bytes(page(About(name, "file:///data/out", "", BEGUN, "pydoit-sc run"), runs, kinds))
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of a browser."""
    with browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about 1,000 runs."""
    return write(tmp_path_factory.mktemp("report") / "report.html", fitted(1000))


def opened(tab: Page, path: Path, width: int = 1280, scheme: str = "light") -> Page:
    """Open a page whose table is drawn."""
    tab.complaints.clear()
    tab.requests.clear()
    tab.open(path, width=width, scheme=scheme)
    tab.until('document.querySelector("#list tbody tr")')
    assert (tab.complaints, tab.requests) == ([], [path.as_uri()])
    return tab


def found(tab: Page) -> str:
    """Return how many runs the table says that it shows."""
    return str(tab('document.getElementById("found").textContent'))


def column(tab: Page, number: int) -> list[str]:
    """Return the cells of a column that are drawn."""
    cells: list[str] = tab(
        f'[...document.querySelectorAll("#list tbody tr")].map((row) => row.cells[{number}].textContent)'
    )
    return cells


def search(tab: Page, text: str) -> str:
    """Type a text into the search, and return how many runs are found."""
    tab('document.getElementById("search").focus(); document.getElementById("search").select()')
    tab.type(text)
    return found(tab)


#: The texts below charts that lie on each other, or beyond the page.
CROWDED = """
[...document.querySelectorAll("svg.axis")].flatMap((axis) => {
  const texts = [...axis.querySelectorAll("text")].filter((text) => getComputedStyle(text).display !== "none");
  const boxes = texts.map((text) => text.getBoundingClientRect());
  const ends = [0, ...boxes.map((box) => box.right)];
  return texts.map((text) => text.textContent)
    .filter((_, i) => boxes[i].left < ends[i] - 1 || (!axis.closest(".scroll") && boxes[i].right > innerWidth));
})
"""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn(tab: Page, report: Path, tmp_path: Path, width: int, scheme: str) -> None:
    opened(tab, report, width, scheme)
    assert tab("document.documentElement.scrollWidth") <= width
    charts = tab('[...document.querySelectorAll("svg")].map((one) => one.getBoundingClientRect().toJSON())')
    assert len(charts) > 80
    assert min(box["width"] for box in charts) > 40 and max(box["right"] for box in charts) <= width * 2
    assert tab(CROWDED) == []
    rows = '[...document.querySelectorAll("tbody tr")].map((row) => row.getBoundingClientRect().height)'
    assert max(tab(rows)) < 70
    assert tab('document.querySelectorAll(".lanes rect").length') > 500
    assert tab('document.querySelectorAll("svg.heat").length') >= 2
    red, green, blue = tab("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red + green + blue > 600) == (scheme == "light")
    fills = 'new Set([...document.querySelectorAll(".lanes rect")].map((one) => getComputedStyle(one).fill))'
    assert tab(f"{fills}.size") == 2  # completed and failed, neither of them black
    assert not tab(f'{fills}.has("rgb(0, 0, 0)")')
    picture = tmp_path / f"{width}-{scheme}.png"
    tab.screenshot(picture)
    assert picture.stat().st_size > 50_000


def test_search_sort_and_pages(tab: Page, report: Path) -> None:
    opened(tab, report)
    assert found(tab) == "1,000 of 1,000 runs"
    assert search(tab, "boosting") == "250 of 1,000 runs"
    assert search(tab, "MODEL=gp failed").endswith(" of 1,000 runs")
    assert set(column(tab, 1)) == {"failed"}
    assert search(tab, "day=2020-01*") == "120 of 1,000 runs"
    assert search(tab, "day=2020-01") == "0 of 1,000 runs"
    assert search(tab, " ") == "1,000 of 1,000 runs"
    tab(
        '[...document.querySelectorAll("#list thead button")].find((one) => one.textContent === "Duration").click()'
    )
    assert tab('document.querySelector("#list th[aria-sort]").getAttribute("aria-sort")') == "ascending"
    assert column(tab, 3)[0] == "5 s"
    tab('document.querySelector("#list th[aria-sort] button").click()')
    assert column(tab, 3)[0] == "2:10"
    assert len(column(tab, 0)) == 50
    first = column(tab, 0)
    tab('document.getElementById("after").click()')
    assert not set(first) & set(column(tab, 0))
    assert tab('document.getElementById("place").textContent') == "51 to 100"
    tab('document.querySelector(".find").click()')
    assert tab('document.getElementById("search").value') == "group=1"
    assert set(column(tab, 1)) == {"failed"}


def test_light_and_dark_by_the_button(tab: Page, report: Path) -> None:
    opened(tab, report)
    back = "getComputedStyle(document.body).backgroundColor"
    before = tab(back)
    tab('document.getElementById("theme").click()')
    assert tab(back) != before
    assert tab('document.getElementById("theme").textContent') == "Light"


def test_with_a_keyboard(tab: Page, report: Path) -> None:
    opened(tab, report)
    tab.press("Tab")
    assert tab("document.activeElement.textContent") == "Skip to the table of runs"
    assert tab("document.activeElement.getBoundingClientRect().left") >= 0
    tab.press("Enter")
    tab.press("Tab")
    assert tab("document.activeElement.id") == "search"
    tab.type("linear")
    assert found(tab) == "250 of 1,000 runs"
    tab.press("Tab")  # the table, which can be scrolled
    tab.press("Tab")
    tab.press("Enter")
    assert tab('document.querySelector("#list th[aria-sort]").textContent') == "Run"


def test_what_users_write_is_only_shown(tab: Page, tmp_path: Path) -> None:
    runs = fitted(8)
    run = Run(HOSTILE, HOSTILE, "fit/x", Settings())
    record = Record(7, f"{HOSTILE}-1", "f", reason=HOSTILE, started=BEGUN, ended=BEGUN + 1, host=HOSTILE)
    stage = Stage(HOSTILE, [run], axes=lambda _: {HOSTILE: HOSTILE, "x": 1})
    runs += [
        report_of(stage, run, Status.ERROR, record),
        report_of(stage, run._replace(name="2"), Status.STALE, record),
    ]
    opened(tab, write(tmp_path / "hostile.html", runs, HOSTILE, HOSTILE + "\n"))
    assert tab('document.querySelectorAll("script").length') == 2
    assert tab('document.querySelectorAll("img").length') == 0
    shown = HOSTILE.replace("\u2028", "\\u2028").replace("\u202e", "\\u202e")
    assert tab("document.title") == tab('document.querySelector("h1").textContent') == shown
    assert column(tab, 0)[-2] == f"{shown}:{shown}"


@pytest.mark.parametrize("count", [0, 1])
def test_few_runs(tab: Page, tmp_path: Path, count: int) -> None:
    runs = fitted(1) if count else [report_of(*fitted(1)[0][:2], Status.INCOMPLETE, None)]
    opened(tab, write(tmp_path / "few.html", runs))
    assert found(tab) == "1 of 1 runs"
    assert tab('document.querySelectorAll(".lanes rect").length') == count
    assert tab(CROWDED) == []


def test_sizes_are_those_of_the_commands(tab: Page, tmp_path: Path) -> None:
    sizes = [999_400_123, 999_700_123, 10**16, 700_000]
    runs = [
        one._replace(record=one.record and one.record._replace(memory=size))
        for one, size in zip(fitted(4), sizes, strict=True)
    ]
    opened(tab, write(tmp_path / "sizes.html", runs))
    headers = tab('[...document.querySelectorAll("#list thead th")].map((one) => one.textContent)')
    assert column(tab, headers.index("Memory")) == [show_size(size) for size in sizes]


def test_a_hundred_thousand_runs(tab: Page, tmp_path: Path) -> None:
    """The times are those of processors, since the machine may be busy."""
    runs = fitted(100_000)
    before = time.process_time()
    path = write(tmp_path / "many.html", runs)
    assert time.process_time() - before < 20
    assert path.stat().st_size < 5_000_000
    opened(tab, tmp_path / "many.html")
    assert tab.cpu_seconds() < 2
    assert found(tab) == "100,000 of 100,000 runs"
    assert search(tab, "day=2020-01* model=gp").endswith(" of 100,000 runs")
