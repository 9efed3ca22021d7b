"""Files on top of files: a file over its bases, overrides over the file.

Mappings merge key by key, everything else is replaced. Where an upper layer chooses another variant
of a section (`objective: {name: spo}` over `{name: ppo_clip, epsilon: 0.1}`), the keys that the new
variant does not have are dropped from the lower one: they were said about another thing. Every node
keeps the mark of the file it came from.
"""

import functools
import os
from collections.abc import Iterable
from typing import NamedTuple

from rl_surrogates import objectives
from rl_surrogates.config import fields, reader, schema, views
from rl_surrogates.config.problems import DOCUMENT, Problem, show
from rl_surrogates.config.reader import Mark, Node, located

BASE = "base"
MAX_BASES = 20  # files on top of each other


class Layers(NamedTuple):
    """A file and what lies below it, and what was wrong with reading them."""

    lower: Node | None  # its bases, merged; None where the file could not be read
    own: Node | None  # its own keys, less `base`
    problems: tuple[Problem, ...]

    def merged(self) -> Node | None:
        """The file laid over its bases."""
        return merge(self.lower, self.own) if self.lower and self.own else None


def load(path: str | os.PathLike) -> Layers:
    """Reads a file and what it is based on."""
    return _Stack().load(os.fspath(path))


def load_mapping(node: Node, folder: str | os.PathLike) -> Layers:
    """The same for a mapping that is not in a file; its bases are relative to `folder`."""
    return _Stack().layers(os.path.join(os.fspath(folder), ""), node)


def read_mapping(path: str) -> reader.Reading:
    """Reads a file that must hold a mapping."""
    reading = reader.read_file(path)
    node = reading.node
    if node is None or isinstance(node.value, dict):
        return reading
    problem = located(node.at, DOCUMENT, f"expected a mapping, got {_kind(node)}")
    return reader.Reading(None, (*reading.problems, problem))


def merge(lower: Node, upper: Node) -> Node:
    """`upper` laid over `lower`, section by section."""
    kept = dict(lower.value)
    for section, node in upper.value.items():
        below = kept.get(section)
        if below and isinstance(below.value, dict) and isinstance(node.value, dict):
            below = below._replace(value=_fitting(below.value, section, node.value))
            kept[section] = union(below, node)
        else:
            kept[section] = node
    return Node(kept, upper.at, upper.key_at)


def union(lower: Node, upper: Node) -> Node:
    """Mappings merge key by key, whatever their names; of anything else `upper` is taken."""
    if not (isinstance(lower.value, dict) and isinstance(upper.value, dict)):
        return upper
    merged = dict(lower.value)
    for key, node in upper.value.items():
        merged[key] = union(merged[key], node) if key in merged else node
    return Node(merged, upper.at, upper.key_at)


def override(texts: Iterable[str]) -> tuple[list[tuple[str, Node]], tuple[Problem, ...]]:
    """Reads `dotted.path=value` texts; a value is written as in YAML."""
    assignments, problems = [], []
    for number, text in enumerate(texts, start=1):
        start = Mark(f"<override {number}>", 1, 1)
        path, equals, value = text.partition("=")
        if not equals or not all(path.split(".")):
            field = path.strip() or DOCUMENT
            problems.append(located(start, field, f"expected dotted.path=value, got {text!r}"))
            continue
        # Blanks in front of the value keep the columns those of the text that was typed.
        reading = reader.read_text(
            " " * (len(path) + 1) + (value if value.strip() else "~"), start.file
        )
        problems += [one._replace(field=path) for one in reading.problems]
        if reading.node is not None:
            assignments.append((path, reading.node._replace(key_at=start)))
    return assignments, tuple(problems)


def nest(assignments: Iterable[tuple[str, Node]], at: Mark) -> Node:
    """The tree in which each dotted path holds its node; the last of equal paths counts."""
    tree = Node({}, at, at)
    for path, node in assignments:
        for key in reversed(path.split(".")):
            node = Node({key: node}, node.at, node.key_at)
        tree = union(tree, node)
    return tree


def variant_keys(section: str, name: object) -> frozenset[str] | None:
    """The keys that the variant `name` of a section has; None where either is not known."""
    try:
        return _variant_keys(section, name) if isinstance(name, str) else None
    except ValueError:
        return None


def has_variants(section: str) -> bool:
    """Whether the section is told apart by `name`, with other keys for other names."""
    field = schema.Fields.model_fields.get(section)
    one_of = field is not None and any(isinstance(mark, fields.OneOf) for mark in field.metadata)
    return section == views.OBJECTIVE or one_of


def default_variant(section: str) -> str:
    """The name that a section has where none is given."""
    return schema.Fields.model_fields[section].default.name


@functools.cache  # of what was found only: an exception is not kept
def _variant_keys(section: str, name: str) -> frozenset[str]:
    if section == views.OBJECTIVE:
        return frozenset(objectives.find(name).coefficients) | {"name"}
    field = schema.Fields.model_fields.get(section)
    for model in views.sections(field) if field else ():
        if "name" in model.model_fields and model.model_fields["name"].default == name:
            return frozenset(model.model_fields)
    raise ValueError(f"{section} has no variant {name}")


def _fitting(below: dict[str, Node], section: str, upper: dict[str, Node]) -> dict[str, Node]:
    """What may stay of a section's keys under what is laid over it."""
    if "name" not in upper or not has_variants(section):
        return below
    before = below["name"].value if "name" in below else default_variant(section)
    name = upper["name"].value
    if before == name:
        return below
    keys = variant_keys(section, name) or frozenset()
    return {key: node for key, node in below.items() if key in keys}


def _kind(node: Node) -> str:
    return "a list" if isinstance(node.value, list) else "a single value"


class _Stack:
    """Loads a file's bases before the file; each file is read once."""

    def __init__(self) -> None:
        self.loaded: dict[str, Layers] = {}
        self.open: list[str] = []  # real paths from the first file to the one being loaded

    def load(self, path: str) -> Layers:
        identity = os.path.realpath(path) if os.path.exists(path) else path
        if identity not in self.loaded:
            self.open.append(identity)
            reading = read_mapping(path)
            layers = self.layers(path, reading.node) if reading.node else Layers(None, None, ())
            self.open.pop()
            self.loaded[identity] = layers._replace(problems=reading.problems + layers.problems)
        return self.loaded[identity]

    def layers(self, path: str, node: Node) -> Layers:
        lower, problems = self._bases(path, node)
        own = {key: child for key, child in node.value.items() if key != BASE}
        return Layers(lower, node._replace(value=own), tuple(problems))

    def _bases(self, path: str, node: Node) -> tuple[Node, list[Problem]]:
        tree, problems = Node({}, node.at, node.key_at), []
        named = node.value.get(BASE)
        if named is None:
            return tree, problems
        if not isinstance(named.value, list):
            return tree, [
                located(named.at, BASE, "expected a list of files, such as [base/one.yaml]")
            ]
        for entry in named.value:
            file, complaint = self._find(path, entry)
            if complaint:
                problems.append(located(entry.at, BASE, complaint))
                continue
            layers = self.load(file)
            problems += layers.problems
            tree = merge(tree, layers.merged() or tree)
        return tree, problems

    def _find(self, path: str, entry: Node) -> tuple[str, str | None]:
        if not isinstance(entry.value, str):
            return "", f"expected the name of a file, got {show(entry.plain())}"
        file = os.path.normpath(os.path.join(os.path.dirname(path), entry.value))
        if not os.path.isfile(file):
            return file, f"{file} is not a file; paths are relative to the file that names them"
        if os.path.realpath(file) in self.open:
            return file, f"{file} is based on itself"
        if len(self.open) >= MAX_BASES:
            return file, f"more than {MAX_BASES} files deep"
        return file, None
