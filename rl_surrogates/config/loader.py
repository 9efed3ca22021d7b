"""One run from one YAML file: `load_config`.

The file, its bases and the overrides become one marked tree; the schema says what is wrong with it;
each problem is reported where its value, or its key, was written.
"""

import os
from collections.abc import Sequence

from rl_surrogates.config import layers
from rl_surrogates.config.problems import ConfigError, Problem
from rl_surrogates.config.reader import Node
from rl_surrogates.config.schema import Config


def load_config(path: str | os.PathLike, overrides: Sequence[str] = ()) -> Config:
    """Reads one run.

    Args:
      path: a YAML file; see `schema` for its keys, and `base` for the files it builds on.
      overrides: texts `dotted.path=value`, applied last.

    Returns:
      The config, valid as a whole.

    Raises:
      ConfigError: with every problem of every file at once.
    """
    stack = layers.load(path)
    assignments, problems = layers.override(overrides)
    problems = (*stack.problems, *problems)
    tree = stack.merged()
    if tree is None:
        raise ConfigError(problems)
    tree = layers.merge(tree, layers.nest(assignments, tree.at))
    config, found = check(tree)
    if config is None or problems:
        raise ConfigError((*problems, *found))
    return config


def check(tree: Node) -> tuple[Config | None, tuple[Problem, ...]]:
    """The config that a marked tree describes, or None and the problems at their places."""
    try:
        return Config(**tree.plain()), ()
    except ConfigError as error:
        return None, tuple(place(_explained(problem), tree) for problem in error.problems)


def _explained(problem: Problem) -> Problem:
    if problem.field != "parameters" or not problem.at_key:
        return problem
    return problem._replace(message="unknown key; a file with parameters is a question, not a run")


def place(problem: Problem, tree: Node) -> Problem:
    """The problem at the line that one would change."""
    places = [find(tree, field) for field in (problem.field, *problem.related)]
    exact = [node for node, is_whole in places if is_whole]
    node = exact[0] if exact else places[0][0]
    mark = node.key_at if problem.at_key or not exact else node.at
    return problem._replace(file=mark.file, line=mark.line, column=mark.column)


def find(tree: Node, field: str) -> tuple[Node, bool]:
    """The deepest node on a dotted path, and whether it is the end of the path."""
    node, rest = tree, field
    while rest:
        children = node.value
        if isinstance(children, list):
            children = {str(index): child for index, child in enumerate(children)}
        if not isinstance(children, dict):
            return node, False
        # A key may itself hold dots, by mistake: the longest that fits is meant.
        fitting = [key for key in children if f"{rest}.".startswith(f"{key}.")]
        if not fitting:
            return node, False
        key = max(fitting, key=len)
        node, rest = children[key], rest[len(key) + 1 :]
    return node, True
