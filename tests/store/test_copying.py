"""What a run has written: which files, and how large."""

from __future__ import annotations

from pathlib import Path

import pytest

from pydoit_sc.store.copying import size_of, sizes

#: Links in the folder `results`, and whether each leads to the file of 1,000 bytes below the output, wherever that is moved.
LINKS = {
    "beside": ("file", True),
    "above": ("../stdout", True),
    "below": ("sub/copy", True),
    "chain": ("beside", True),
    "into.sub": ("sub/../file", True),
    "absolute": ("{}/results/file", False),
    "chain.of.absolute": ("absolute", False),
    "around": ("../../{name}/results/file", False),
    "outside": ("../../outside", False),
    "folder": ("sub", False),
    "by.a.folder": ("folder/copy", False),
    "nowhere": ("none", False),
    "loop": ("loop", False),
    "device": ("/dev/zero", False),
}


@pytest.mark.parametrize("link", LINKS)
def test_a_link_counts_as_the_file_it_leads_to_in_the_same_output(tmp_path: Path, link: str) -> None:
    top = tmp_path / "attempt"
    (top / "results/sub").mkdir(parents=True)
    for path in (top / "stdout", top / "results/file", top / "results/sub/copy", tmp_path / "outside"):
        path.write_text("x" * 1000)
    targets = {name: to.format(top, name=top.name) for name, (to, _) in LINKS.items()}
    for name, to in targets.items():
        (top / "results" / name).symlink_to(to)
    expected = 1000 if LINKS[link][1] else len(targets[link])
    assert size_of(str(top), f"{top}/results/{link}") == sizes(str(top))[f"results/{link}"] == expected
    # As it is read when it has been published: by another name, and through an open folder.
    moved = top.rename(tmp_path / "moved")
    (tmp_path / "open").symlink_to(moved)
    assert sizes(str(tmp_path / "open"))[f"results/{link}"] == expected
