"""One question from one YAML file: `load_question`.

A question is a base, the parameters that vary over it, and how often (`seeds`). Reading it checks
every value; where there are few settings, every setting. `size` is known without expanding, so that
a planner can refuse a grid of a million points before `settings()` validates each of them.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from rl_surrogates.config.execution import Execution
from rl_surrogates.config.fields import INT32_MAX, Count, Section, error_at
from rl_surrogates.config.loader import find, place
from rl_surrogates.config.problems import ConfigError, Problem, show, suggest
from rl_surrogates.config.reader import Mark
from rl_surrogates.config.schema import Config
from rl_surrogates.config.sharing import Configs
from rl_surrogates.config.space import Point, Space

METRICS = (
    "evaluation/return",
    "evaluation/length",
    "episode_return",
    "episode_length",
    "policy_loss",
    "value_loss",
    "entropy",
    "approx_kl",
    "clip_fraction",
    "first_ratio_error",
    "grad_norm",
    "explained_variance",
)
ENOUGH = 200  # wrong points
RESERVED = {"con", "prn", "aux", "nul"} | {
    f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)
}


def check_name(name: str) -> str:
    """Refuses what cannot safely name a folder on every system."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name) or name.startswith("."):
        rule = "1 to 100 of A-Z a-z 0-9 . _ - and no dot in front"
        raise ValueError(f"{show(name)} cannot name a results folder; use {rule}")
    if name.split(".")[0].lower() in RESERVED:
        raise ValueError(f"{show(name)} is reserved by Windows; choose another name")
    return name


def _metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"unknown metric {show(name)}{suggest(name, METRICS)}")
    return name


class Metric(Section):
    """What settings are compared by."""

    name: Annotated[str, AfterValidator(_metric)] = "evaluation/return"
    goal: Literal["maximize", "minimize"] = "maximize"


class Seeds(Section):
    """The same seeds for every setting, so that comparisons are paired."""

    start: Annotated[int, Field(ge=0, le=INT32_MAX - 1)] = 0
    count: Count = 1

    @model_validator(mode="after")
    def _last_fits(self) -> "Seeds":
        if self.start + self.count > INT32_MAX:
            raise error_at("count", f"the last seed is beyond {INT32_MAX}, got {self.count} seeds")
        return self


class Setting(NamedTuple):
    """One point of a question."""

    index: int
    axes: dict[
        str, Any
    ]  # dotted path -> value, of the swept paths that this setting's variants have
    config: Config


class Question(Section):
    """What is asked: which settings to compare, on which seeds, by which metric."""

    name: Annotated[str, AfterValidator(check_name)]
    description: str = ""
    method: Literal["grid", "random", "sobol"] = "grid"
    metric: Metric = Metric()
    num_samples: Count | None = None
    seeds: Seeds = Seeds()
    execution: Execution = Execution()

    _space: Space | None = PrivateAttr(default=None)  # None where it was restored from a plan
    _axes: dict[str, tuple[Any, ...]] = PrivateAttr(default_factory=dict)
    _settings: tuple[Setting, ...] | None = PrivateAttr(default=None)

    @property
    def size(self) -> int:
        """How many settings there are, without expanding them; equal random draws count twice."""
        return len(self._settings) if self._space is None else self._space.size

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The swept paths, each with its values; those of a range are the ones drawn."""
        axes = dict(self._axes)
        for group in self._space.groups if self._space else ():
            for i, path in enumerate(group.paths):
                drawn = (s.axes[path] for s in self.settings() if path in s.axes)
                values = drawn if group.range else (row.values[i] for row in group.rows)
                axes[path] = tuple(dict.fromkeys(values))
        return axes

    def settings(self) -> tuple[Setting, ...]:
        """Every distinct setting, validated, in an order that the question alone decides.

        Raises:
          ConfigError: with the problems of all settings, each where its value was written.
        """
        if self._settings is None:
            configs, problems = check(self._space, self._space.points())
            if problems:
                raise ConfigError(problems)
            self._settings = tuple(
                Setting(index, point, config) for index, (point, config) in enumerate(configs)
            )
        return self._settings


STORED = ("name", "description", "method", "metric", "seeds", "execution")


def question_of_plan(stored: Mapping[str, Any], file: str = "") -> Question:
    """The question of a plan that `sweep.Plan.as_json` made, with the settings that it had then.

    Raises:
      ConfigError: it holds no such question, or one that this version does not understand.
    """
    try:
        question = Question(**{key: stored[key] for key in STORED})
        settings = tuple(
            Setting(s["index"], s["axes"], Config.from_flat(s["config"]))
            for s in stored["settings"]
        )
        axes = {path: tuple(values) for path, values in stored["axes"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"no question that this version can run again: {type(error).__name__}: {error}"
        raise ConfigError([Problem(file, 0, 0, "plan.json", message)]) from error
    question._settings, question._axes = settings, axes
    return question


def check(
    space: Space, points: Iterable[tuple[Point, dict[str, Mark]]]
) -> tuple[list[tuple[Point, Config]], tuple[Problem, ...]]:
    """The configs of `points`, and each problem once, however many points have it.

    Stops after many points that are wrong: their problems are then told often enough.
    """
    shared = Configs(space)
    configs, problems, failures = [], {}, 0
    for point, marks in points:
        try:
            configs.append((point, shared.at(point)))
        except ConfigError as error:
            for problem in error.problems:
                placed = _place(problem, space, marks)
                place_and_field = (placed[:3], placed.field) if placed.file else placed
                problems.setdefault(place_and_field, placed)
            failures += 1
            if failures == ENOUGH:
                break
    return configs, tuple(problems.values())


def _place(problem: Problem, space: Space, marks: dict[str, Mark]) -> Problem:
    """The problem where its value was written: on an axis, or else in the tree under the axes."""
    section = problem.field.partition(".")[0]
    for field in (problem.field, *problem.related):
        on_axis = [path for path in marks if f"{field}.".startswith(f"{path}.")]
        if on_axis:
            file, line, column = marks[on_axis[0]]
            return problem._replace(file=file, line=line, column=column)
        if find(space.base, field)[1]:
            return place(problem._replace(field=field), space.base)._replace(field=problem.field)
    if f"{section}.name" in marks:  # something that the chosen variant needs is missing
        file, line, column = marks[f"{section}.name"]
        return problem._replace(file=file, line=line, column=column)
    return place(problem, space.base)
