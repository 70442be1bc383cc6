"""Values as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from pydoit_sc.errors import printable


def page(caption: str, headers: Sequence[str], rows: Iterable[Sequence[object]], more: str = "") -> str:
    """Return a caption, a table and perhaps a line below it, whatever characters are in them.

    >>> page("1 run", ["run", "code"], [["a:<1>", None]])
    '<p>1 run</p><table><thead><tr><th>run</th><th>code</th></tr></thead><tbody><tr><td>a:&lt;1&gt;</td><td></td></tr></tbody></table>'
    """
    head = _row("th", headers)
    body = "".join(_row("td", row) for row in rows)
    below = f"<p>{_text(more)}</p>" if more else ""
    return f"<p>{_text(caption)}</p><table><thead>{head}</thead><tbody>{body}</tbody></table>{below}"


def _row(kind: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{kind}>{_text(cell)}</{kind}>' for cell in cells)}</tr>"


def _text(cell: object) -> str:
    if isinstance(cell, int):
        return f"{cell:,}"
    return "" if cell is None else escape(printable(str(cell)))
