"""How a question comes together: its heading, its parameters over the bases, overrides over all.

`load_question` reads a file, `make_question` a mapping written in Python, `question_of_run` makes
the question of one setting that a plain run is. Each finds every problem before it raises.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rl_surrogates.config import axes, layers, paths, wording
from rl_surrogates.config.loader import place
from rl_surrogates.config.problems import ConfigError, Problem, suggest
from rl_surrogates.config.question import Question, check
from rl_surrogates.config.reader import Mark, Node, located
from rl_surrogates.config.schema import Fields
from rl_surrogates.config.space import Group, Space

# Of a larger question each value is checked when it is read, each setting when it is expanded.
CHECKED_AT_ONCE = 1000
NOWHERE = Mark("", 0, 0)


class Heading(Question):
    """A question as it is written; `base` has been read before."""

    parameters: dict[str, Any] = {}
    zip: list[list[str]] = []


def load_question(path: str | os.PathLike, overrides: Sequence[str] = ()) -> Question:
    """Reads one question.

    Args:
      path: a YAML file; its name without suffix names the question if the file does not.
      overrides: texts `dotted.path=value`, applied last. A path of the config is held at that value
        and its axis dropped; a path of the question (`seeds.count`, `execution.lanes`, `name`, ...)
        replaces what the file says.

    Raises:
      ConfigError: with every problem of every file at once.
    """
    return _assemble(layers.load(path), Path(path).stem, overrides)


def make_question(
    content: Mapping[str, Any], overrides: Sequence[str] = (), folder: str | os.PathLike = "."
) -> Question:
    """The question that a mapping with a file's content describes; bases are relative to `folder`.

    Raises:
      ConfigError: with every problem at once.
    """
    return _assemble(layers.load_mapping(_node(content), folder), "question", overrides)


def question_of_run(
    path: str | os.PathLike, seeds: int = 1, overrides: Sequence[str] = ()
) -> Question:
    """The question whose one setting is the run that `path` describes.

    Raises:
      ConfigError: with every problem of every file at once.
    """
    stack = layers.load(path)
    own = _node({"seeds": {"count": seeds}})
    return _assemble(stack._replace(lower=stack.merged(), own=own), Path(path).stem, overrides)


def _assemble(stack: layers.Layers, name: str, overrides: Sequence[str]) -> Question:
    assignments, wrong = layers.override(overrides)
    problems = [*stack.problems, *wrong]
    if stack.lower is None or stack.own is None:
        raise ConfigError(problems)
    of_question = [(path, node) for path, node in assignments if _is_heading(path)]
    own = layers.union(stack.own, layers.nest(of_question, stack.own.at))
    heading, wrong = _heading(own, name)
    problems += wrong
    space, wrong = _space(stack.lower, own, [one for one in assignments if one not in of_question])
    problems += wrong
    problems += _wrong_settings(space)
    if heading is None or problems:
        raise ConfigError(problems)
    question = Question(**{key: getattr(heading, key) for key in Question.model_fields})
    question._space = space
    return question


def _wrong_settings(space: Space) -> list[Problem]:
    """What is wrong with values by themselves and, if settings are few, with combinations."""
    alone = list(check(space, space.probes())[1])
    sound = space.without({Mark(*problem[:3]) for problem in alone})
    if sound is None or sound.size > CHECKED_AT_ONCE:
        return alone
    known = {(problem[:3], problem.field) for problem in alone}
    together = check(sound, sound.points())[1]
    return alone + [one for one in together if (one[:3], one.field) not in known]


def _is_heading(path: str) -> bool:
    return path.partition(".")[0] in Question.model_fields


def _heading(own: Node, name: str) -> tuple[Heading | None, list[Problem]]:
    """The keys of the question itself."""
    content = {"name": name, **own.plain()}
    heading, problems = None, _sampled(own)
    try:
        heading = Heading(**content)
    except ValidationError as error:
        found = wording.problems_of(error, Heading, content)
        problems += [_with_remedy(place(problem, own)) for problem in found]
    return heading, problems


def _sampled(own: Node) -> list[Problem]:
    """A grid has no samples, random and Sobol points are counted."""
    method, samples = own.value.get("method"), own.value.get("num_samples")
    if method and method.value in ("random", "sobol") and samples is None:
        return [located(method.at, "num_samples", f"required by method: {method.value}")]
    if samples and (method is None or method.value == "grid"):
        message = "a grid has no samples; use method: random or sobol"
        return [located(samples.key_at, "num_samples", message)]
    return []


def _with_remedy(problem: Problem) -> Problem:
    if not problem.at_key or problem.field.partition(".")[0] not in Fields.model_fields:
        return problem
    remedy = f"unknown key; write it under parameters, as {problem.field}: {{value: ...}}"
    return problem._replace(message=remedy)


def _space(
    lower: Node, own: Node, overrides: list[tuple[str, Node]]
) -> tuple[Space, list[Problem]]:
    """What the parameters span over the bases, as far as they are sound."""
    method, samples = _value(own, "method", "grid"), _value(own, "num_samples", 1)
    method = method if method in ("grid", "random", "sobol") else "random"
    together = _zip(own)
    written = own.value.get("parameters")
    if written is None or not isinstance(written.value, dict):
        written = Node({}, own.at, own.at)
    parameters = axes.read(written, method, together)
    problems = list(parameters.problems)

    overrides = [leaf for path, node in overrides for leaf in _leaves(path, node)]
    held = [path for path, _ in overrides]
    constants, groups = (
        {p: one for p, one in part.items() if not _covers(held, p)} for part in parameters[:2]
    )
    for path, at in _set_paths(constants, groups, overrides):
        if complaint := paths.complaint(path):
            problems.append(located(at, path, complaint))
            constants.pop(path, None)
            groups.pop(path, None)
    overrides = [(path, node) for path, node in overrides if not paths.complaint(path)]
    tree = layers.merge(lower, layers.nest(constants.items(), own.at))
    tree = layers.merge(tree, layers.nest(overrides, own.at))

    dropped = written.value.keys() - groups.keys() - constants.keys()
    joined, wrong = axes.zipped(groups, _less(together, dropped))
    count = samples if type(samples) is int and samples > 0 else 1
    space = Space(tree, tree.plain(), joined, method, count)
    return space, [*problems, *wrong, *_fits_no_variant(space)]


def _fits_no_variant(space: Space) -> list[Problem]:
    """Keys of a section that none of its swept variants has."""
    problems = []
    for group in space.groups:
        for i, path in enumerate(group.paths):
            section, _, rest = path.partition(".")
            if rest == "name" and layers.has_variants(section):
                names = dict.fromkeys(row.values[i] for row in group.rows)
                problems += _foreign(space, section, tuple(names))
    return problems


def _foreign(space: Space, section: str, names: tuple[str, ...]) -> list[Problem]:
    each = [layers.variant_keys(section, name) for name in names]
    if None in each:  # an unknown name is reported as such
        return []
    known = sorted(frozenset().union(*each) - {"name"})
    below = space.base.value.get(section)
    below = below.value if below and isinstance(below.value, dict) else {}
    keys = {key: node.key_at for key, node in below.items()} | {
        path.removeprefix(f"{section}."): group.at
        for group in space.groups
        for path in group.paths
        if path.startswith(f"{section}.")
    }
    nobody = f"none of {', '.join(map(str, names))} has it"
    return [
        located(at, f"{section}.{key}", f"{nobody}{suggest(key, known, 'keys')}")
        for key, at in keys.items()
        if key != "name" and key not in known
    ]


def _set_paths(
    constants: dict, groups: dict[str, Group], overrides: list
) -> list[tuple[str, Mark]]:
    return [
        *((path, node.key_at) for path, node in constants.items()),
        *((path, group.at) for path, group in groups.items()),
        *((path, node.key_at) for path, node in overrides),
    ]


def _leaves(path: str, node: Node) -> list[tuple[str, Node]]:
    """The values that lie in a node, by their dotted paths."""
    if not isinstance(node.value, dict):
        return [(path, node)]
    return [leaf for key, child in node.value.items() for leaf in _leaves(f"{path}.{key}", child)]


def _covers(held: list[str], path: str) -> bool:
    return any(f"{path}.".startswith(f"{one}.") for one in held)


def _zip(own: Node) -> Node | None:
    """The key `zip`, if it has its shape."""
    node = own.value.get("zip")
    lists = node.value if node and isinstance(node.value, list) else [node]
    sound = all(
        one
        and isinstance(one.value, list)
        and all(isinstance(item.value, str) for item in one.value)
        for one in lists
    )
    return node if node and sound else None


def _less(together: Node | None, dropped: set[str]) -> Node | None:
    """`zip` without the paths that are no axes any more, for a reason already given."""
    if together is None:
        return None
    entries = []
    for entry in together.value:
        kept = [item for item in entry.value if item.value not in dropped]
        if len(kept) == len(entry.value) or len(kept) > 1:
            entries.append(entry._replace(value=kept))
    return together._replace(value=entries)


def _value(own: Node, key: str, default: Any) -> Any:
    return own.value[key].value if key in own.value else default


def _node(content: Any) -> Node:
    """A tree without places, of data written in Python."""
    if isinstance(content, Mapping):
        return Node({str(key): _node(value) for key, value in content.items()}, NOWHERE, NOWHERE)
    if isinstance(content, list | tuple):
        return Node([_node(value) for value in content], NOWHERE, NOWHERE)
    return Node(content, NOWHERE, NOWHERE)
