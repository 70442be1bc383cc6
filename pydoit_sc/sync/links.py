"""Which symlinks may travel: those that stay inside of the tree wherever it is put."""

from __future__ import annotations


def leaves_tree(name: str, target: str) -> bool:
    """Return whether the symlink `name` (relative to the tree's root) leads out of the tree, or may do so.

    `..` is taken only at the target's beginning, where it climbs real folders: after a name it would climb from
    where another symlink leads. So if every link keeps the rule, no chain of them gets out.
    """
    if target.startswith("/") or not target:
        return True
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((at for at, part in enumerate(parts) if part != ".."), len(parts))
    depth = len([part for part in name.split("/") if part not in ("", ".")]) - 1
    return ups > depth or ".." in parts[ups:]
