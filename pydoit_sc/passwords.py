"""Passwords in URLs: those of places are written into chunks, notes, scripts and logs, so none may have one."""

from __future__ import annotations

import re

#: `scheme://user:password@`; digits behind the colon, up to the end or a slash, are a port.
_IN_URL = re.compile(r"\s*([\w+.-]+:/+)[^/@:\[]*:(?!\d*(?:/|$))[^@]*@")


def in_url(text: str) -> str:
    """Return the message about a password in a URL, without that; "" where there is none.

    >>> in_url("sftp://me:secret@host/p").partition(";")[0]
    'sftp://…@ has a password in a URL, which would be written into chunks and logs'
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
