"""Recipes as files: what is read is written back, byte by byte where the seed shows it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pydoit_sc.saturn import recipe as recipes
from pydoit_sc.saturn.errors import RecipeError

from .recipes import SEED, job


def test_the_seeds_recipe_comes_back_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(SEED)
    recipe = recipes.read(path)
    assert recipe["spec"]["start_script"].endswith("nfs-work\n\n")
    assert recipe["spec"]["schedule"] is None
    assert recipes.dumps(recipe) == SEED
    assert list(recipe["spec"])[:3] == ["name", "owner", "description"]


def test_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(job(start_script="é\r\n")))
    assert recipes.read(path) == job(start_script="é\r\n")


@pytest.mark.parametrize(
    "script",
    [
        "one\n", "one", "one\n\n\n", "\n\none\n", "  indented\nnot\n", "\ttab first\n\tx\n", "trailing  \nspace \n",
        "a\n \n \nb\n", "cat <<'EOF'\n\tkey: [x]\n# no comment\n%YAML\n---\n...\nEOF\n", "dos\r\nline\r\n", "é ü 漢 😀\nx\n",
        "\n", "\n\n", " \n", "", "x: y\n- z\n", "next\x85line\n", "bell\x07\n", "\ufeffbom\n", "a\u2028b\n",
    ],
)  # fmt: skip
def test_scripts_come_back(script: str) -> None:
    recipe = job(start_script=script, environment_variables={"X": [script]})
    text = recipes.dumps(recipe)
    assert recipes.loads(text) == recipe
    assert yaml.safe_load(text) == recipe


@pytest.mark.parametrize("script", ["one\ntwo\n", "trailing  \nspace \n", "\ttab\nx", "  indented\nnot\n"])
def test_text_of_several_lines_is_a_block(script: str) -> None:
    text = recipes.dumps(job(start_script=script))
    assert "start_script: |" in text
    assert all(f"    {line}\n" in text for line in script.splitlines())


AMBIGUOUS = [
    "yes", "no", "on", "off", "y", "true", "True", "null", "~", "", "010", "0o17", "0x1f", "1e3", "1_000", "1:30", "12:30:45",
    "2024-01-01", "2024-01-01 10:00:00", "1.5", ".5", ".inf", ".nan", "-", "- x", "# x", "a: b", "a #b", "{x}", "[x]", "*x", "&x",
    "!x", "%x", "@x", "`x`", "'", '"', "=", "<<", " x ", "?", "|", ">", "0b1", "+1", "1.", "1e-3", "é",
]  # fmt: skip


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_text_stays_text_for_every_reader(text: str) -> None:
    """Readers of YAML 1.1 (PyYAML) and of YAML 1.2 (ruamel, which `sc` reads by)."""
    from ruamel.yaml import YAML

    recipe = job(environment_variables={"X": text, text: "Y"})
    written = recipes.dumps(recipe)
    assert recipes.loads(written) == recipe
    assert yaml.safe_load(written) == recipe
    assert YAML(typ="safe", pure=True).load(written) == recipe


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", "yes"), ("on", "on"), ("true", True), ("010", 10), ("0o17", 15), ("0x1f", 31), ("1:30", "1:30"), ("1e3", 1000.0),
     ("2024-01-01", "2024-01-01"), ("", None), ("~", None), ("-5", -5), (".5", 0.5), ("2024.04.01", "2024.04.01")],
)  # fmt: skip
def test_plain_values_are_read_as_yaml_1_2(text: str, value: Any) -> None:
    read = recipes.loads(f"spec:\n  x: {text}\n")["spec"]["x"]
    assert (read, type(read)) == (value, type(value))


def _ruamel(recipe: Any) -> str:
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import LiteralScalarString

    recipe = json.loads(json.dumps(recipe))
    recipe["spec"]["start_script"] = LiteralScalarString(recipe["spec"]["start_script"])
    out = StringIO()
    dumper = YAML()
    dumper.default_flow_style = False
    dumper.width = 1 << 30
    dumper.dump(recipe, out)
    return out.getvalue()


def test_written_as_the_published_client_writes() -> None:
    recipe = recipes.loads(SEED)
    assert recipes.dumps(recipe) == _ruamel(recipe)


@settings(max_examples=150, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )
)
def test_anything_comes_back(value: Any) -> None:
    recipe = {"spec": {"x": value}}
    try:
        recipes.dumps(recipe).encode()
    except UnicodeEncodeError:
        return
    assert recipes.loads(recipes.dumps(recipe)) == recipe


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty file"),
        ("~", "expected a recipe, found nothing"),
        ("- a\n", "expected a recipe, found list"),
        ("type: job\n", "a recipe needs `spec`"),
        ("spec: x\n", "a recipe needs `spec`"),
        ('{"type": "job"}', "a recipe needs `spec`"),
        ("spec: {\n", ":2:1: not YAML"),
        ("spec:\n  name: a\n  name: b\n", ":3:3: the key `name` is given twice"),
        (
            "spec: !!python/object/apply:os.system [echo]\n",
            ":1:7: the tag `!!python/object/apply:os.system` is refused",
        ),
        ("a: 1\n---\nspec: {}\n", "not YAML"),
        ("[" * 5000, "nested too deeply to be read"),
        ("spec:\n  x: !!bool maybe\n", ":2:6: `maybe` cannot be read"),
        ('{"spec": {"a": 1, "a": 2}}', ":1:19: the key `a` is given twice"),
        (f"spec: {'[' * 150}{']' * 150}", "nested more than 100 levels deep"),
        (
            "spec:\n  start_script: [a]\n",
            "spec.start_script: expected lines of shell (a string), found a list",
        ),
        ("type: 5\nspec: {}\n", "type: expected a string, found 5"),
    ],
)
def test_bad_recipes(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        recipes.read(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_files_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        recipes.read(tmp_path / "none.yaml")
    (tmp_path / "latin").write_bytes(b"spec: \xe9\xff")
    with pytest.raises(RecipeError, match="not UTF-8"):
        recipes.read(tmp_path / "latin")
    (tmp_path / "long").write_text("#" * 1_000_001)
    with pytest.raises(RecipeError, match="has at most 1,000,000 characters, found 1,000,001"):
        recipes.read(tmp_path / "long")
