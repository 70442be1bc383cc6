"""YAML, safely: no tags that make objects, no duplicate keys, no alias bombs, one document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pydoit_sc.batchfile.document import Place, failure, place
from pydoit_sc.batchfile.errors import BatchfileError, Where

#: Aliases may write a file out to so many values.
MOST_NODES = 1_000_000

#: The parser in C descends once per level, on a stack that Python does not watch.
DEEPEST = 500

_WINDOW = 1 << 18  # bytes of a long list that are parsed at once

#: Lines and words that count for all of a document: the marks of documents, directives, anchors and aliases.
_FOR_ALL = re.compile(rb"^(?:---|\.\.\.|%)|[\s\[{,:][&*][\w-]", re.MULTILINE)
#: The key of a list of runs in the lines below it, how the first of them begins, and what follows the last one.
_RUNS = re.compile(rb"^runs:[ \t]*\r?\n", re.MULTILINE)
_NEXT_KEY = re.compile(rb"^[^ \t\r\n#-]", re.MULTILINE)
_FIRST = re.compile(rb"(?:[ \t]*(?:#.*)?\r?\n)*( *)- ")

#: What PyYAML lets through for a scalar such as 2024-02-30, without its place.
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, OverflowError)
_PYTHON_TAG = "tag:yaml.org,2002:python/"
_TEXT = "tag:yaml.org,2002:str"
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class StrictLoader(_Base):  # type: ignore[misc] # which of PyYAML's two loaders is known only at run time
    """A loader that raises RecursionError where a document is nested too deeply, and refuses duplicate keys."""

    depth = 0

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.merged: set[int] = set()  # the mappings that have had a `<<`

    def descend_resolver(self, _parent: Node | None, _index: object) -> None:
        # PyYAML's hook for paths: called before each node is composed
        self.depth += 1
        if self.depth > DEEPEST:
            raise RecursionError

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        # most nodes are texts, for which PyYAML would look up a constructor, and whether it has constructed them already
        if node.tag == _TEXT and isinstance(node, ScalarNode):
            return node.value
        return super().construct_object(node, deep)

    def flatten_mapping(self, node: MappingNode) -> None:
        # PyYAML's step before it constructs a mapping, or merges it into another one: the keys of `<<` come into it then,
        # once and for all, and may be those that it has
        if id(node) in self.merged:
            return
        keys = {key.value for key, _ in node.value if isinstance(key, ScalarNode)}
        if len(keys) != len(node.value):
            _refuse_duplicates(node)
        if "<<" in keys:
            self.merged.add(id(node))
        super().flatten_mapping(node)


def _refuse_duplicates(node: MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, ScalarNode) and key.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key `{key.value}` is given twice", key.start_mark
            )
        seen.add(key.value if isinstance(key, ScalarNode) else id(key))


def parse_yaml_list(raw: bytes, file: str) -> Any:
    """Return the data of a YAML document; raise BatchfileError.

    Of a long list of runs in it the items are parsed as they are asked for, which raises BatchfileError, too.
    """
    found = _RUNS.search(raw)
    start = found.end() if found else 0
    key = _NEXT_KEY.search(raw, start) if found else None
    end = key.start() if key else len(raw)
    first = _FIRST.match(raw, start, end)
    if len(raw) <= _WINDOW or first is None or _FOR_ALL.search(raw):
        return parse_yaml(raw.decode(), file)
    items = _items(raw, file, (start, end), first[1])
    if found is None:
        return items
    around = _try(b"%bruns: 0\n%b" % (raw[: found.start()], raw[end:]), file)
    return {**around, "runs": items} if isinstance(around, dict) else parse_yaml(raw.decode(), file)


def _items(raw: bytes, file: str, lines: tuple[int, int], indent: bytes) -> Iterator[Any]:
    """Yield the items of the list in these lines of a document, each of which begins so far from the left.

    What is cut before such a line is a list of whole items if it is YAML: within one of them a bracket or a quote is open.
    If it is none, the whole document says what is wrong, or what the items are.
    """
    begin, (at, end), count = re.compile(rb"^%b- " % indent, re.MULTILINE), lines, 0
    while at < end:
        found = begin.search(raw, min(at + _WINDOW, end), end)
        cut = found.start() if found else end
        items = _build_list(raw[at:cut]) or _try(raw[at:cut], file)
        if not isinstance(items, list):
            whole = parse_yaml(raw.decode(), file)
            yield from islice(whole["runs"] if isinstance(whole, dict) else whole, count, None)
            return
        yield from items
        at, count = cut, count + len(items)


def _build_list(raw: bytes) -> list[Any] | None:
    """Return the items of a list in half the time, from what PyYAML's parser in C tells of each, without a tree of nodes.

    None where there is no list, or something that takes more than looking at it: a tag, a key that is given twice, `<<`.
    """
    try:
        loader = StrictLoader(raw.decode())
        for _ in range(2):  # the starts of stream and document
            loader.get_event()
        built = _build(loader, loader.get_event(), 1)
        is_whole = isinstance(loader.get_event(), yaml.DocumentEndEvent) and not loader.check_event(
            yaml.DocumentStartEvent
        )
    except (yaml.YAMLError, RecursionError, *_UNREADABLE):
        return None
    return built if is_whole and isinstance(built, list) else None


def _build(loader: StrictLoader, event: Any, depth: int) -> Any:
    """Return the value that begins with an event; raises ValueError where the tree of nodes is needed."""
    if isinstance(event, yaml.ScalarEvent) and event.tag is None:
        text: str = event.value
        # as `resolve` does, for most texts at a tenth of its price
        if not event.implicit[0] or (text and text[0] not in loader.yaml_implicit_resolvers):
            return text
        tag = loader.resolve(ScalarNode, text, event.implicit)
        return text if tag == _TEXT else loader.construct_object(ScalarNode(tag, text))
    if not isinstance(event, yaml.CollectionStartEvent) or event.tag is not None or depth > DEEPEST:
        raise ValueError
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(item := loader.get_event(), yaml.SequenceEndEvent):
            items.append(_build(loader, item, depth + 1))
        return items
    count, found = 0, {}
    while isinstance(key := loader.get_event(), yaml.ScalarEvent):
        name = _build(loader, key, depth)
        found[name] = _build(loader, loader.get_event(), depth + 1)
        count += 1
    if len(found) != count or not isinstance(key, yaml.MappingEndEvent):
        raise ValueError
    return found


def _try(raw: bytes, file: str) -> Any:
    """Return the data of a part of a document; None where it is no document of its own."""
    try:
        return parse_yaml(raw.decode(), file)
    except BatchfileError:
        return None


def parse_yaml(text: str, file: str, kind: type[StrictLoader] = StrictLoader) -> Any:
    """Return the data of a YAML document; raise BatchfileError.

    `kind` is a loader with other rules for plain values.
    """
    try:
        loader = kind(text)
        root = loader.get_single_node()
        if root is None:
            raise failure(file, "empty file")
        if "*" in text and "&" in text:
            _refuse_bomb(root, file)
        return loader.construct_document(root)
    except yaml.reader.ReaderError as error:
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"not YAML: the control character U+{code:04X} is not allowed"
        raise failure(file, message, *place(text, text.find(chr(code)))) from None
    except yaml.YAMLError as error:
        raise _failure(error, file) from None
    except RecursionError:
        raise failure(file, "nested too deeply to be read") from None
    except _UNREADABLE as error:
        raise _bad_scalar(root, file, error, kind("")) from None


def _failure(error: yaml.YAMLError, file: str) -> BatchfileError:
    mark = getattr(error, "problem_mark", None)
    message = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None)
    if _PYTHON_TAG in message:
        message = f"the tag `!!python/{message.rsplit(_PYTHON_TAG)[-1].rstrip(chr(39))}` is refused"
    elif context and "is given twice" not in message:
        message = f"not YAML: {context}, {message}"
    elif not message.startswith("the key"):
        message = f"not YAML: {message}"
    return failure(file, message, *((mark.line + 1, mark.column + 1) if mark else ()))


def _bad_scalar(root: Node, file: str, error: Exception, loader: StrictLoader) -> BatchfileError:
    for node in _nodes(root):
        if isinstance(node, ScalarNode):
            try:
                loader.construct_object(node)
            except yaml.YAMLError:
                continue  # `<<`, which is no value by itself
            except _UNREADABLE as reason:
                mark = node.start_mark
                message = f"`{node.value[:60]}` cannot be read ({reason}); quote it if it is text"
                return failure(file, message, mark.line + 1, mark.column + 1)
    return failure(file, f"cannot be read as YAML: {error}")


def _nodes(root: Node) -> Iterator[Node]:
    """Yield each node once."""
    seen, stack = {id(root)}, [root]
    while stack:
        node = stack.pop()
        yield node
        for child in reversed(children(node)):
            if id(child) not in seen:
                seen.add(id(child))
                stack.append(child)


def children(node: Node) -> list[Node]:
    """Return the keys and values of a mapping, or the items of a list."""
    if isinstance(node, MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _refuse_bomb(root: Node, file: str) -> None:
    """Add up, children first, how many values each node is written out; a node that contains itself has no end."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()
    stack = [root]
    while stack:
        node = stack[-1]
        if id(node) in sizes:
            stack.pop()
        elif id(node) in open_nodes:
            stack.pop()
            sizes[id(node)] = 1 + sum(sizes[id(child)] for child in children(node))
            if sizes[id(node)] > MOST_NODES and not isinstance(node, ScalarNode) and _has_alias(node):
                mark = node.start_mark
                message = f"its aliases write it out to more than {MOST_NODES:,} values"
                raise failure(file, message, mark.line + 1, mark.column + 1)
        else:
            open_nodes.add(id(node))
            for child in children(node):
                if id(child) in open_nodes and id(child) not in sizes:
                    mark = child.start_mark
                    raise failure(file, "an alias contains itself", mark.line + 1, mark.column + 1)
                stack.append(child)


def _has_alias(root: Node) -> bool:
    """Return whether a node is reached twice, so that it is larger written out than in the file."""
    seen: set[int] = set()
    stack = [root]
    while stack:
        for child in children(stack.pop()):
            if id(child) in seen:
                return True
            seen.add(id(child))
            stack.append(child)
    return False


def yaml_keys(text: str) -> Iterator[tuple[Where, Place]]:
    """Yield the path and the place of every key and every item of a YAML document."""
    loader = StrictLoader(text)
    root = loader.get_single_node()
    loader.construct_document(root)  # brings what `<<` means into the tree
    stack: list[tuple[Where, Node]] = [((), root)]
    while stack:
        path, node = stack.pop()
        members: list[tuple[str | int, Node, Node]] = []
        if isinstance(node, MappingNode):
            members = [(key.value, key, value) for key, value in node.value if isinstance(key, ScalarNode)]
        elif isinstance(node, SequenceNode):
            members = [(i, item, item) for i, item in enumerate(node.value)]
        for key, marked, value in members:
            yield (*path, key), (marked.start_mark.line + 1, marked.start_mark.column + 1)
            stack.append(((*path, key), value))
