"""Where keys stand in a TOML file, and those that are given twice."""

from __future__ import annotations

import pytest
import tomli

from pydoit_sc.batchfile import BatchfileError
from pydoit_sc.batchfile.tomlfile import parse_toml, toml_keys

TRICKY = r'''
a.b.c = 1 # [x]
"q\"uoted" = { x = [1, { y = "}" }], 'z.z' = 2 }
s = """
[not.a.table]
k = "v" \""" """
l = [
  # ] comment
  "a", 'b"',
  1.5, 2012-01-01 10:00:00,
]
[ t . "u v" ]
w = @@@
[no]
@@@@
[[arr]]
x = 1
[[arr]]
x = 2
[arr.sub]
y = 3
[[arr.deep]]
z = 4
[[arr.deep]]
z = 5
'''.replace("@", "'")


def test_places_in_toml() -> None:
    data = tomli.loads(TRICKY)
    lines = TRICKY.split("\n")
    found = dict(reversed(list(toml_keys(TRICKY))))
    assert set(found) == set(paths(data, ()))
    line = {where: TRICKY.count("\n", 0, offset) for where, offset in found.items()}
    assert lines[line["arr", 1, "deep", 1, "z"]] == "z = 5"
    assert lines[line["l", 3]] == "  1.5, 2012-01-01 10:00:00,"
    assert lines[line["t", "u v"]] == '[ t . "u v" ]'
    assert TRICKY[found['q"uoted', "x", 1, "y"] :].startswith('y = "}"')


def paths(value: object, where: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    children: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [p for key, child in children for p in [(*where, key), *paths(child, (*where, key))]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("b=2\r\na=1\r\nb=3\r\n", "3:1: the key `b` is given twice; the first is in line 1"),
        ("[[r]]\nc=1\n[[r]]\nc=2\nc=[1, {x=2}]", "5:1: the key `c` is given twice; the first is in line 4"),
        ("n={a=1, a=[1, 2], b=1}", "1:9: the key `a` is given twice; the first is in line 1"),
        ("a=[{x=1}]\na=[3, {x=1}]\n@@ '", "2:1: the key `a` is given twice; the first is in line 1"),
        ("[a]\n[ a . b ]\n[a.b]", "3:1: the table [a.b] is given twice; the first is in line 2"),
        ("[a]\n[[a]]", "2:1: the table [a] is given twice; the first is in line 1"),
        ("[[a]]\n[a]", "2:1: the table [a] is given twice; the first is in line 1"),
        ("a=[1]\n[[a]]", "2:1: the table [a] is given twice; the first is in line 1"),
        ("n={a=1}\n[n.b]", "2:1: `n` is given in line 1; write `b` there"),
        ("n={a=1}\nn.b.c=2", "2:5: `n` is given in line 1; write `b.c` there"),
        ("n={a=1, a.b=2}", "1:11: `n.a` is given in line 1; write `b` there"),
        ("[a.b]\nx=1\n[a]\nb.c=2", "4:3: `a.b` is given in line 1; write `c` there"),
    ],
)
def test_what_is_given_twice(text: str, said: str) -> None:
    with pytest.raises(BatchfileError) as caught:
        parse_toml(text, "a.toml")
    assert str(caught.value) == f"a.toml:{said}"
