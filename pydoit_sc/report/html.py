"""HTML made of elements, in which every text is escaped: names, commands and stderr may hold anything."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from html import escape

from pydoit_sc.errors import printable


class Html(str):
    """A text that is HTML: what is not, is escaped when it is put into an element."""

    __slots__ = ()


def markup(text: object) -> Html:
    """Return a text as HTML.

    >>> markup("a<b>\\x1b[1m"), markup(Html("<b>"))
    ('a&lt;b&gt;\\\\x1b[1m', '<b>')
    """
    return text if isinstance(text, Html) else Html(escape(printable(str(text))))


def el(name: str, *inside: object, **attributes: object) -> Html:
    """Return an element; of the names of attributes `_` becomes `-`, but for one at the end. Attributes of None are left out.

    >>> el("td", "a < b", class_="name", aria_label=None, title='"')
    '<td class="name" title="&quot;">a &lt; b</td>'
    """
    said = [
        f' {key.rstrip("_").replace("_", "-")}="{markup(value)}"'
        for key, value in attributes.items()
        if value is not None
    ]
    return Html(f"<{name}{''.join(said)}>{''.join(map(markup, inside))}</{name}>")


def join(parts: Iterable[object], between: str = "") -> Html:
    """Return texts and elements behind each other."""
    return Html(markup(between).join(map(markup, parts)))


def section(key: str, title: str, *inside: object) -> Html:
    """Return a section of the page with its heading, which links lead to by this key."""
    heading = el("h2", title, id=f"{key}-title")
    return el("section", heading, *inside, id=key, aria_labelledby=f"{key}-title")


def figure(title: str, *inside: object, note: str = "") -> Html:
    """Return a chart or a table with its title, and what has to be known to read it."""
    said = el("figcaption", el("h3", title), *([el("p", note, class_="note")] if note else []))
    return el("figure", said, *inside)


def table(
    headers: Sequence[object], rows: Iterable[Sequence[object]], *, class_: str, numbers: Container[int] = ()
) -> Html:
    """Return a table; the first cell of a row is its heading, and columns of numbers are aligned right."""
    kinds = ["number" if i in numbers else None for i in range(len(headers))]
    head = (
        el("th", header, scope="col", class_=kind) if header else el("td")
        for header, kind in zip(headers, kinds, strict=True)
    )
    body = (
        el(
            "tr",
            el("th", first, scope="row"),
            *(el("td", cell, class_=kind) for cell, kind in zip(cells, kinds[1:], strict=True)),
        )
        for first, *cells in rows
    )
    inside = (el("thead", el("tr", *head)), el("tbody", *body))
    return el("div", el("table", *inside, class_=class_), class_="scroll")
