"""Ways to spoil a file: of its bytes, of its lines, and of the data in it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

#: Values in the spelling that every format has: JSON, YAML's flow style and, but for null, TOML.
COMMON = (
    *("0", "-1", "1", "007", "1e400", "-1e400", "0.1", "1_000", "9" * 30, "9" * 5000, "0x" + "f" * 5000),
    *(
        "true",
        "[]",
        "{}",
        '""',
        '" "',
        '"."',
        '".."',
        '"../../x"',
        '"a/../b"',
        '"/"',
        '"a//b"',
        '"-"',
        '"--help"',
    ),
    *(
        '"a::b"',
        '"a=b"',
        '"*"',
        '"[x"',
        '"file://"',
        '"file:///"',
        '"nosuch://x/y"',
        '"memory://x"',
        '"::"',
        '"://"',
    ),
    *('"~"', '"~nosuchuser/x"', '"é😀"', '"\u202e"', '"\u2028"', r'"\u0000"', r'"\u001b[31m"', r'"\u0085"'),
    *(
        '"$(false)"',
        '"`"',
        '"\'"',
        r'"\""',
        '"{"',
        '"}"',
        '"{}"',
        '"{x}"',
        '"{model}"',
        '"{model.x.y}"',
        '"{model!r}"',
    ),
    *(
        '"{seed:9999d}"',
        '"{seed:99999d}"',
        '"{seed:{x}}"',
        '"{month.start:%}"',
        '"{row[0]}"',
        '"%Y"',
        '"cores"',
    ),
    *(
        '"5 %"',
        '"101 %"',
        '"1 day"',
        '"0 days"',
        '"999999 years"',
        '"1 minute"',
        '"1h 30m"',
        '"1e9"',
        '"nan"',
    ),
    *(
        '["a"]',
        '["a", "a"]',
        '[["a"]]',
        '{"a": 1}',
        '{"range": [0, 10, 0]}',
        '"month"',
        '"plot"',
        '".pydoit_sc"',
    ),
    '"' + "x" * 300 + '"',
    '"' + "é" * 70_000 + '"',
    '"' + "{seed:9999}" * 2000 + '"',
    "[" * 200 + "]" * 200,
    "[" * 100_000,
    '["' + '", "'.join(map(str, range(3000))) + '"]',
)
JSON = (
    *("null", "NaN", "-Infinity", r'"\ud800"', r'"\udfff\ud800"', '{"a": 1, "a": 2}', "1E999", "--1", "'x'"),
    '{"a":' * 700 + "1" + "}" * 700,
)
YAML = (
    *(
        "null",
        "~",
        "yes",
        "010",
        "0o10",
        "1:30:00",
        ".inf",
        ".nan",
        "2024-02-30",
        "2024-01-01T00:00:00Z",
        "=",
        "<<",
    ),
    *(
        "!!python/object/apply:os.system [true]",
        "!!binary x",
        "!!set {a, b}",
        "!!omap [a: 1]",
        "!!int x",
        "!x y",
    ),
    *(
        "!!timestamp x",
        "!!float 1_",
        "!!bool maybe",
        "!!null x",
        "!!str 5",
        "&x [*x]",
        "*nosuch",
        "&y {a: *y}",
    ),
    *(
        "{<<: [1, 2]}",
        "{<<: {a: 1}}",
        "? [a]",
        "{[a]: 1}",
        "{1: 2, 1.5: 3, null: 4, true: 5}",
        '"\\uD800"',
        "|\n",
        "%",
    ),
    *(
        "!!pairs [a: 1]",
        "0x" + "f" * 5000 + ": 1",
        "{0x" + "f" * 5000 + ": 1}",
        "!!int 0b",
        "1" * 4400,
        "190:20:30",
    ),
    "[&a0 [1,1,1,1,1,1,1,1,1],"
    + ",".join(f"&a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))
    + "]",
)
TOML = (
    *(
        "2024-02-30",
        "0001-01-01",
        "9999-12-31",
        "9999-12-31T23:59:60Z",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "07:32:00",
    ),
    *(
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "inf",
        "nan",
        "'x'",
        "'''\n'''",
        '"""\\\n"""',
    ),
    *(
        '{ from = 0001-01-01, to = 9999-12-31, every = "1 day" }',
        '{ from = 2000-01-01, to = 1999-01-01, every = "1 day" }',
    ),
    '{ from = 0001-01-01T00:00:00, to = 9999-12-31T00:00:00, every = "1 minute" }',
    '{ from = 9999-11-01, to = 9999-12-31, every = "1 month", span = "999999 years" }',
    '{ from = 0001-01-01T00:00:00+23:59, to = 0001-01-02T00:00:00-23:59, every = "1 hour" }',
    *(
        "{ range = [0, 10, 0] }",
        "{ range = [0, 1000000000000000000] }",
        "{ range = [0, 9999999] }",
        "{ range = [5, 0] }",
    ),
    *(
        "{ range = [0, 1e15, 1e-300] }",
        "{ range = [0.0, 1.0, 5e-324] }",
        "{ range = [10, 0, -3] }",
        "{ range = [nan, 1] }",
    ),
    *(
        "{ range = [0, 9000] }",
        '{ csv = "rows.csv" }',
        '{ csv = "." }',
        '{ csv = "none.csv" }',
        '{ csv = "\\u0000" }',
    ),
    *(
        '{ glob = "**" }',
        '{ glob = "[" }',
        '{ glob = "\\u0000" }',
        '{ glob = "/etc/host*" }',
        '{ glob = "nothing*" }',
    ),
    *(
        '{ csv = "jobs.json" }',
        "[{ a = 1 }, { b = 2 }]",
        "[1, 1.0, true]",
        "[2024-01-01, 07:00:00]",
        "{ a.b.c = 1 }",
    ),
    "{ a" + ".b" * 3000 + " = 1 }",
)
SPECIFIC = {".json": JSON, ".jsonl": JSON, ".yaml": YAML, ".toml": TOML, ".csv": (), ".txt": (), "": ()}

KEYS = (
    "cmd",
    "name",
    "runs",
    "env",
    "matrix",
    "after",
    "<<",
    "",
    "a b",
    "a=b",
    "\u202e",
    "x" * 300,
    "0",
    "nprocs",
    "Ref",
    "pydoit_sc",
)
PIECES = (
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"\r\n",
        b"\r",
        b"\x1b[31m",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
    ),
    *(
        b'"',
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b"#",
        b":",
        b"=",
        b",",
        b"\t",
        b"\\",
        b"---\n",
        b"...\n",
        b"<<: *first",
        b"&a ",
        b"*a",
    ),
    *(
        b"%YAML 9.9\n",
        b"!!python/name:os.system ",
        b'"""',
        b"'''",
        b"\n[runs.month]\n",
        b"\n[[runs]]\n",
        b"\n[batch]\n",
    ),
)

Mutator = Callable[[Random, bytes, str], bytes]


def flip(random: Random, data: bytes, _: str) -> bytes:
    """Change a few bytes."""
    spoiled = bytearray(data)
    for _i in range(random.choice((1, 1, 2, 8, 64))):
        if spoiled:
            spoiled[random.randrange(len(spoiled))] = random.choice(
                (random.randrange(256), random.randrange(32, 127))
            )
    return bytes(spoiled)


def cut(random: Random, data: bytes, _: str) -> bytes:
    """Take a part away: the end, the beginning, or one between."""
    start = random.randrange(len(data) + 1)
    end = random.choice((len(data), min(len(data), start + random.randrange(1, 40))))
    return data[:start] + data[end:]


def splice(random: Random, data: bytes, _: str) -> bytes:
    """Write a part of the file once more somewhere, perhaps very often."""
    start = random.randrange(len(data) + 1)
    part = data[start : start + random.choice((1, 5, 40, 400))]
    at = random.randrange(len(data) + 1)
    return data[:at] + part * random.choice((1, 1, 2, 50, 2000)) + data[at:]


def insert(random: Random, data: bytes, _: str) -> bytes:
    """Put something with a meaning anywhere, or at the beginning."""
    at = random.choice((0, random.randrange(len(data) + 1)))
    return data[:at] + random.choice(PIECES) * random.choice((1, 1, 1, 3, 1000)) + data[at:]


def ends(random: Random, data: bytes, _: str) -> bytes:
    """Write the file as other systems do."""
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: data.replace(b"\n", b"\r\n"),
        lambda: data.replace(b"\n", b"\r"),
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data.decode(errors="ignore").encode("utf-16"),
        lambda: data.decode(errors="ignore").encode("utf-32-le"),
        lambda: data.replace(b" ", b"\t"),
        lambda: data.replace(b" ", b"\xc2\xa0"),
        lambda: b"",
        lambda: b"\n" * random.randrange(5),
    )
    return random.choice(ways)()


def lines(random: Random, data: bytes, _: str) -> bytes:
    """Drop, repeat, move or mix lines."""
    rows = data.split(b"\n")
    for _i in range(random.choice((1, 1, 3, 10))):
        at, row = random.randrange(len(rows)), random.choice(rows)
        way = random.randrange(4)
        if way == 0 and len(rows) > 1:
            del rows[at]
        elif way == 1:
            rows.insert(at, row)
        elif way == 2:
            rows[at] = row
        else:
            rows[at] = rows[at][: random.randrange(len(rows[at]) + 1)] + row[random.randrange(len(row) + 1) :]
    return b"\n".join(rows)


_VALUE = re.compile(
    rb'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|(?<=[=:\[, ])-?[\w.+-]+(?=[\s,\]}])|(?<=[=:] )[\[{][^\n]*'
)


def values(random: Random, data: bytes, end: str) -> bytes:
    """Put other values, or a key, in the place of some."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        found = list(_VALUE.finditer(data))
        if not found:
            return data
        match = random.choice(found)
        token = random.choice((*COMMON, *SPECIFIC[end], *SPECIFIC[end])).encode("utf-8", "surrogatepass")
        if random.random() < 0.1:
            token = json.dumps(random.choice(KEYS)).encode()
        data = data[: match.start()] + token + data[match.end() :]
    return data


def tree(random: Random, data: bytes, end: str) -> bytes:
    """Drop, repeat, rename, move or nest parts of the data; only for JSON, which YAML reads too."""
    try:
        whole: Any = json.loads(data)
        for _ in range(random.choice((1, 1, 2, 5))):
            parent = random.choice(_parents(whole) or [whole])
            if isinstance(parent, dict) and parent:
                _spoil_table(random, parent, whole)
            elif isinstance(parent, list) and parent:
                _spoil_list(random, parent)
        text = json.dumps(whole, ensure_ascii=random.random() < 0.5)
    except (ValueError, RecursionError):  # no JSON, or nested too deeply to be written
        return values(random, data, end)
    return text.encode("utf-8", "surrogatepass")


def _parents(whole: Any) -> list[Any]:
    """Return the tables and lists of a document, each before what is in it."""
    found, left = [], [whole]
    while left:
        value = left.pop()
        if isinstance(value, (dict, list)):
            found.append(value)
            left.extend(reversed([*value.values()] if isinstance(value, dict) else value))
    return found


def _spoil_table(random: Random, table: dict[str, Any], whole: Any) -> None:
    key = random.choice(list(table))
    way = random.randrange(5)
    if way == 0:
        del table[key]
    elif way == 1:
        table[random.choice((*KEYS, key[:-1], key + "s", "\ud800"))] = table.pop(key)
    elif way == 2:
        table[key] = random.choice(
            (None, True, -1, 10**30, 1e308, "", "\ud800", "\x1b[2J", [], {}, [[]], {"": None})
        )
    elif way == 3:
        table[key] = json.loads(json.dumps(random.choice(_parents(whole))))
    else:
        table.update({f"{key}{n}": table[key] for n in range(random.choice((2, 300)))})


def _spoil_list(random: Random, items: list[Any]) -> None:
    way = random.randrange(4)
    at = random.randrange(len(items))
    if way == 0:
        del items[at]
    elif way == 1:
        items.extend([items[at]] * random.choice((1, 500)))
    elif way == 2:
        items[at] = random.choice((None, 0, "x", [], {}, items[at : at + 1], 10**30, "\udcff"))
    else:
        random.shuffle(items)


#: Those that know what they spoil come up more often.
MUTATORS: tuple[Mutator, ...] = (flip, cut, splice, insert, ends, lines, lines, *(values,) * 5, *(tree,) * 3)


def mutate(random: Random, data: bytes, end: str) -> bytes:
    """Return a spoiled copy of a file of this format."""
    for _ in range(random.choice((1, 1, 1, 1, 1, 2, 3))):
        data = random.choice(MUTATORS)(random, data, end)
    return data[: 4 << 20]
