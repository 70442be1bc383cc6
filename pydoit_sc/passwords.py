"""Secrets: none may be in a URL, which is written into chunks, notes, scripts and logs; no error shows one that is an option."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: `scheme://user:password@`, also at the end of a chain with `::`. A user may have an `@`, and a password any character:
#: before the last `@` of what a slash ends, each colon is that of one. Digits behind it, up to the end or a slash, are a port.
_IN_URL = re.compile(r"\s*(?:.*::)?([\w+.-]+:/+)(?:[^/]*:[^/]*@|[^/:\[]*:(?!\d*(?:/|$))[^@]*@)")


def in_url(text: str) -> str:
    """Return the message about a password in a URL, without that; "" where there is none.

    >>> in_url("sftp://me:secret@host/p").partition(";")[0]
    'sftp://…@ has a password in a URL, which would be written into chunks and logs'
    >>> in_url("http://me@example.org:secret@host").partition("@")[0]
    'http://…'
    >>> in_url("sftp://me@host:22/a@b"), in_url("s3://bucket/a:b@c")
    ('', '')
    """
    found = _IN_URL.match(text)
    if found is None:
        return ""
    return (
        f"{found[1]}…@ has a password in a URL, which would be written into chunks and logs; give it as an option in "
        "`storage_options`, or in the environment"
    )


def without_values(text: str, options: Mapping[str, Any]) -> str:
    """Return the text of an error without the values of options: libraries quote what they do not take.

    >>> without_values("no file 'canary', nor any a, 12", {"token": "canary", "more": {"key": "a", "port": 12}})
    "no file '…', nor any …, …"
    """
    for value in options.values():
        if isinstance(value, Mapping):
            text = without_values(text, value)
        elif value and not isinstance(value, bool):
            written = str(value)
            for way in (written, repr(written)[1:-1]):
                text = re.sub(rf"(?<!\w){re.escape(way)}(?!\w)", "…", text)
    return text
