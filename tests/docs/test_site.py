"""The site of the documents: it builds without a warning, has every page, and takes nothing from elsewhere."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT
from tests.report.browser import PROGRAM, browser
from tests.starts import PROGRAMS

BUILD = PROGRAMS / "zensical"
CONFIG = ROOT / "zensical.toml"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder of a site that was built without a warning."""
    if not BUILD.exists():
        pytest.skip("zensical needs Python 3.11 or newer")
    shutil.copy(CONFIG, tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")
    done = subprocess.run(
        [BUILD, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return tmp_path / "site"


def test_every_link_leads_somewhere_and_nothing_comes_from_elsewhere(site: Path) -> None:
    pages = [path.read_text() for path in site.rglob("*.html")]
    assert len(pages) == len(list(DOCS.rglob("*.md"))) + 1  # 404.html
    for page in pages:
        assert not re.search(r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//', page)
        assert not re.search(r'<link[^>]* href="(?:https?:)?//', page)


def test_the_navigation_has_every_page() -> None:
    named = re.findall(r'= "(\S+\.md)"', CONFIG.read_text())
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in PAGES[1:])


#: Where the site's search draws what it finds, and whether it takes what is typed.
_SEARCH = "[...document.querySelectorAll('*')].map(one => one.shadowRoot).filter(root => root)"
_LISTENS = "document.activeElement.shadowRoot?.activeElement?.tagName == 'INPUT'"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Tell nothing."""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which(PROGRAM) is None, reason="Chromium is not installed")
def test_in_a_browser(site: Path, tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    with browser(tmp_path / "browser") as page:
        page.open(f"{url}howto/failures.html", width=390, scheme="dark")
        page.until("document.body.dataset.mdColorScheme == 'slate'")
        page("document.querySelector('.md-search__button').click()")
        page.until(_LISTENS)
        page.type("hopeless")
        page.until(f"{_SEARCH}.some(root => root.textContent.includes('stops by itself'))")
        assert page.complaints == []
        assert [one for one in page.requests if not one.startswith((url, "data:"))] == []
    server.shutdown()
    server.server_close()
