"""The site of the documents: it builds without a warning, has every page, and takes nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT
from tests.starts import PROGRAMS

BUILD = PROGRAMS / "zensical"
CONFIG = ROOT / "zensical.toml"


@pytest.mark.skipif(not BUILD.exists(), reason="zensical needs Python 3.11 or newer")
def test_every_link_leads_somewhere_and_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    shutil.copy(CONFIG, tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")
    done = subprocess.run(
        [BUILD, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    pages = [path.read_text() for path in (tmp_path / "site").rglob("*.html")]
    assert len(pages) == len(list(DOCS.rglob("*.md"))) + 1  # 404.html
    for page in pages:
        assert (
            re.findall(
                r'<(?:script|img|iframe)[^>]* src="(?:https?:)?//.*?"|<link[^>]* href="(?:https?:)?//.*?"',
                page,
            )
            == []
        )


def test_the_navigation_has_every_page() -> None:
    named = re.findall(r'= "(\S+\.md)"', CONFIG.read_text())
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in PAGES[1:])
