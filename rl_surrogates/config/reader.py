"""YAML text to a tree whose every key and value knows its file, line and column.

Safe and unsurprising: no tags beyond YAML's own scalars, so text never becomes an object; `1e-3`
and `1e3` are numbers; only `true` and `false` are booleans, so `no`, `on` and `12:30` stay text;
duplicate keys and anchors that multiply are errors. Nothing is raised: `read` returns what could be
understood, and the problems of all the rest.
"""

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from rl_surrogates.config.problems import DOCUMENT, Problem, show

MAX_BYTES = 2**18
MAX_NODES = 10_000
MAX_DEPTH = 40


class Mark(NamedTuple):
    """A place in a file; lines and columns count from 1, columns in characters."""

    file: str
    line: int
    column: int


class Node(NamedTuple):
    """A scalar, a list of nodes or a mapping from text to nodes, and where it stands."""

    value: Any
    at: Mark
    key_at: Mark  # where its key stands; `at` where it has none

    def plain(self) -> Any:
        """The same without marks."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


class Reading(NamedTuple):
    """What a file says, as far as it could be understood."""

    node: Node | None
    problems: tuple[Problem, ...]


def read_file(path: str | os.PathLike) -> Reading:
    """Reads one UTF-8 YAML document; a byte order mark is accepted."""
    file = os.fspath(path)
    if not os.path.exists(file):
        return _failed(Mark(file, 1, 1), "no such file")
    if not os.path.isfile(file):
        return _failed(Mark(file, 1, 1), "not a file")
    try:
        with open(file, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return _failed(Mark(file, 1, 1), f"cannot be read: {error.strerror}")
    if len(data) > MAX_BYTES:
        return _failed(Mark(file, 1, 1), f"larger than {MAX_BYTES} bytes")
    try:
        return read_text(data.decode("utf-8-sig"), file)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        return _failed(_after(before, file), f"not UTF-8: byte 0x{data[error.start]:02x}")


def read_text(text: str, file: str) -> Reading:
    """Reads one YAML document from `text`; `file` is what problems will name."""
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        return _failed(Mark(file, mark.line + 1, mark.column + 1), _plainly(reason))
    except yaml.reader.ReaderError as error:
        where = _after(text[: error.position], file)
        return _failed(where, f"the character U+{ord(text[error.position]):04X} is not allowed")
    if root is None:
        return _failed(Mark(file, 1, 1), "expected a mapping, got an empty file")
    tree = _Tree(file)
    try:
        return Reading(tree.node(root, (), None), tuple(tree.problems))
    except _TooLarge as error:
        return _failed(error.mark, f"more than {MAX_NODES} values, or an anchor within itself")


def located(mark: Mark, field: str, message: str) -> Problem:
    """A problem at a place."""
    return Problem(*mark, field, message)


def _failed(mark: Mark, message: str) -> Reading:
    return Reading(None, (located(mark, DOCUMENT, message),))


def _after(before: str, file: str) -> Mark:
    """The place that follows the text `before`."""
    lines = before.split("\n")
    return Mark(file, len(lines), len(lines[-1]) + 1)


def _plainly(reason: str) -> str:
    if r"'\t'" in reason:
        return "a tab where only spaces may stand"
    return "only one document in a file" if "single document" in reason else reason


class _Loader(yaml.SafeLoader):
    """SafeLoader with fewer implicit types, and a limit on depth."""

    depth = 0
    yaml_implicit_resolvers = {
        None: [
            ("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z")),
            ("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
            ("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9](?:_?[0-9])*)\Z")),
            (
                "tag:yaml.org,2002:float",
                re.compile(
                    r"[-+]?(?:(?:[0-9](?:_?[0-9])*\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"
                    r"|[0-9](?:_?[0-9])*\.[0-9]*|\.[0-9]+|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
                ),
            ),
        ]
    }

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Composes one node, unless it lies too deep."""
        if self.depth >= MAX_DEPTH:
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, f"deeper than {MAX_DEPTH} levels", mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


class _TooLarge(Exception):
    def __init__(self, mark: Mark) -> None:
        self.mark = mark


class _Tree:
    """Turns PyYAML's nodes into ours, collecting problems on the way."""

    def __init__(self, file: str) -> None:
        self.file, self.problems, self.count = file, [], 0
        self.open: set[int] = set()  # nodes that the current one lies in

    def node(self, raw: yaml.Node, path: tuple[str, ...], key_at: Mark | None) -> Node | None:
        """The node at `path`; None, with a problem noted, where it cannot be understood."""
        at = self._mark(raw)
        self.count += 1
        if self.count > MAX_NODES or id(raw) in self.open:
            raise _TooLarge(at)
        self.open.add(id(raw))
        try:
            value = self._value(raw, path)
        except ValueError as error:
            self._note(at, path, str(error))
            return None
        finally:
            self.open.discard(id(raw))
        return Node(value, at, key_at or at)

    def _value(self, raw: yaml.Node, path: tuple[str, ...]) -> Any:
        kind = raw.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "map" and isinstance(raw, yaml.MappingNode):
            return dict(self._entries(raw, path))
        if kind == "seq" and isinstance(raw, yaml.SequenceNode):
            items = (self.node(item, (*path, str(i)), None) for i, item in enumerate(raw.value))
            return [item for item in items if item is not None]
        if kind in SCALARS and isinstance(raw, yaml.ScalarNode):
            return SCALARS[kind](raw.value)
        raise ValueError(
            f"the tag {raw.tag.replace('tag:yaml.org,2002:', '!!')} is not allowed here"
        )

    def _entries(self, raw: yaml.MappingNode, path: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
        first: dict[str, Mark] = {}
        for raw_key, raw_value in raw.value:
            at = self._mark(raw_key)
            if raw_key.tag != "tag:yaml.org,2002:str":
                shown = raw_key.value if isinstance(raw_key, yaml.ScalarNode) else "a collection"
                self._note(at, path, f"a key must be text, got {shown}")
                continue
            key = raw_key.value
            if key in first:
                self._note(
                    at, (*path, key), f"duplicate key, first given in line {first[key].line}"
                )
                continue
            first[key] = at
            value = self.node(raw_value, (*path, key), at)
            if value is not None:
                yield key, value

    def _note(self, at: Mark, path: tuple[str, ...], message: str) -> None:
        self.problems.append(located(at, ".".join(path) or DOCUMENT, message))

    def _mark(self, raw: yaml.Node) -> Mark:
        return Mark(self.file, raw.start_mark.line + 1, raw.start_mark.column + 1)


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    if not re.fullmatch(r"[-+]?[0-9]{1,400}", digits):
        raise ValueError(f"{show(text)} is not a whole number that can be used")
    return int(digits)


def _float(text: str) -> float:
    try:
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        raise ValueError(f"{show(text)} is not a number") from None


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{show(text)} is neither true nor false")
    return text.lower() == "true"


SCALARS = {
    "str": str,
    "int": _integer,
    "float": _float,
    "bool": _boolean,
    "null": lambda text: None,
}
