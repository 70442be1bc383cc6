"""Where keys stand in a TOML file."""

from __future__ import annotations

import tomli

from pydoit_sc.batchfile.tomlfile import toml_keys

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
