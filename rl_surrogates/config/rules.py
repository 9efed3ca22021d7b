"""Rules about two fields or more, which no single field can check.

Each rule reads a config whose fields are valid one by one and returns a problem or nothing. Where
other fields are wrong, the rules that do not read those still apply, so that one pass reports
everything.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from rl_surrogates import adaptation, objectives
from rl_surrogates.config.problems import Problem, suggest

INT32_MAX = 2**31 - 1
ADAPTED_BESIDE = {  # what an adaptation may move that is no coefficient of the objective
    "adaptive_learning_rate": ("ascent.learning_rate",),
    "linear_anneal": ("ent_coef", "ascent.max_kl"),
}
WEIGHING = ("vmpo", "reps")  # ascents that hand the objective weights as its advantages
LEARNING_RATES = (adaptation.SLOWEST, adaptation.FASTEST)
MOST_COLUMNS = 256  # that a measure may have in the table of curves
RECURRENT = "gru"  # the torso with a memory


def broken(config: Any) -> tuple[Problem, ...]:
    """The problems of a config whose fields are valid one by one."""
    return tuple(problem for rule in RULES if (problem := rule(config)) is not None)


def broken_in_what_is_valid(
    model: type[BaseModel], data: Mapping[str, Any], problems: tuple[Problem, ...]
) -> tuple[Problem, ...]:
    """The broken rules that read no field among `problems`; the wrong fields count as not given."""
    wrong = {problem.field for problem in problems}
    config, left_out = None, wrong
    while config is None:
        try:
            config = model.model_validate(_without(data, left_out))
        except (
            ValidationError
        ) as error:  # what is left needs what is wrong: take the section out as a whole
            left_out = left_out | {str(detail["loc"][0]) for detail in error.errors()}
    return tuple(
        problem
        for problem in broken(config)
        if not any(
            _overlap(field, one) for field in (problem.field, *problem.related) for one in wrong
        )
    )


def minibatches_divide_the_batch(config: Any) -> Problem | None:
    """Every minibatch has the same size; a network with memory learns from whole sequences."""
    whole = config.network.torso == RECURRENT
    batch = config.num_envs * (1 if whole else config.num_steps)
    field, count = _minibatches(config.ascent)
    if batch % count == 0:
        return None
    parts = "num_envs" if whole else "num_envs * num_steps"
    why = f", and a {RECURRENT} learns from whole sequences, one per environment" if whole else ""
    message = f"{count} does not divide {parts} = {batch}{why}; use {_divisors_near(count, batch)}"
    return _problem(field, message, "num_steps", "num_envs")


def a_trust_region_is_for_the_policy_alone(config: Any) -> Problem | None:
    """What the critic learns after the step must not move the policy."""
    if not (config.network.shared and hasattr(config.ascent, "max_kl")):
        return None
    message = (
        f"under {config.ascent.name} the critic is fitted after the policy's step and would move "
        "a shared torso out of the region; write false, or use the ascent minibatch"
    )
    return _problem("network.shared", message, "ascent.name")


def memory_has_a_size(config: Any) -> Problem | None:
    """The last hidden layer of a recurrent network is its memory."""
    if config.network.torso != RECURRENT or config.network.hidden:
        return None
    message = f"the last layer of a {RECURRENT} is its memory; use at least one, such as [64]"
    return _problem("network.hidden", message, "network.torso")


def batch_can_be_indexed(config: Any) -> Problem | None:
    """Samples are counted in int32."""
    batch = config.num_envs * config.num_steps
    if batch <= INT32_MAX:
        return None
    message = f"num_envs * num_steps = {batch} is too large; at most {INT32_MAX}"
    return _problem("num_steps", message, "num_envs")


def at_least_one_update(config: Any) -> Problem | None:
    """A run that never updates is a mistake."""
    batch = config.num_envs * config.num_steps
    if config.total_timesteps >= batch:
        return None
    message = (
        f"{config.total_timesteps} is less than one update, num_envs * num_steps = {batch}; "
        f"use at least {batch}"
    )
    return _problem("total_timesteps", message, "num_steps", "num_envs")


def updates_can_be_counted(config: Any) -> Problem | None:
    """Updates are counted in int32."""
    if config.num_updates <= INT32_MAX:
        return None
    message = f"{config.total_timesteps} makes {config.num_updates} updates; at most {INT32_MAX}"
    return _problem("total_timesteps", message, "num_steps", "num_envs")


def adapted_coefficient_exists(config: Any) -> Problem | None:
    """An adaptation moves a coefficient that the objective has, or the number it is made for."""
    path = getattr(config.adaptation, "coefficient", None)
    if path is None or (config.objective.name == "custom" and path.startswith("objective.")):
        return None
    options = [f"objective.{key}" for key in config.objective.coefficients]
    if path in (*options, *ADAPTED_BESIDE.get(config.adaptation.name, ())):
        return None
    remedy = suggest(path, options, "coefficients") if options else "; it has none"
    message = f"{path!r} is no coefficient of {config.objective.name}{remedy}"
    return _problem("adaptation.coefficient", message, "objective.name")


def learning_rate_can_adapt(config: Any) -> Problem | None:
    """One rule moves the learning rate, from within the range of that rule."""
    if config.adaptation.name != "adaptive_learning_rate":
        return None
    rate = getattr(config.ascent, "learning_rate", None)
    if rate is None:
        message = f"ascent {config.ascent.name} has no learning rate; use the ascent minibatch"
        return _problem("adaptation.name", message, "ascent.name")
    if getattr(config.ascent, "anneal", "none") != "none":
        message = (
            f"{config.ascent.anneal} moves the rate that adaptive_learning_rate moves; write none"
        )
        return _problem("ascent.anneal", message, "adaptation.name", "ascent.name")
    low, high = LEARNING_RATES
    if low <= rate <= high:
        return None
    message = f"{rate} is outside [{low}, {high}], where adaptive_learning_rate keeps the rate"
    return _problem("ascent.learning_rate", message, "adaptation.name", "ascent.name")


def max_kl_can_be_annealed(config: Any) -> Problem | None:
    """A bound falls where there is one."""
    path = getattr(config.adaptation, "coefficient", None)
    if path != "ascent.max_kl" or hasattr(config.ascent, "max_kl"):
        return None
    message = f"ascent {config.ascent.name} has no max_kl; use trust_region or natural_gradient"
    return _problem("adaptation.coefficient", message, "ascent.name", "objective.name")


def horizon_holds_an_update(config: Any) -> Problem | None:
    """A proportional controller moves by at most 20 % an update."""
    horizon, batch = getattr(config.adaptation, "horizon", None), config.num_envs * config.num_steps
    if horizon is None or horizon >= batch:
        return None
    message = f"{horizon} is less than num_envs * num_steps = {batch}; use at least {batch}"
    return _problem("adaptation.horizon", message, "num_steps", "num_envs")


def weights_are_not_standardised(config: Any) -> Problem | None:
    """Where weights take the place of advantages, a minibatch has none to standardise."""
    if config.ascent.name not in WEIGHING or config.advantage.standardise != "minibatch":
        return None
    message = f"minibatch would standardise the weights of {config.ascent.name}; write batch"
    return _problem("advantage.standardise", f"{message} or none", "ascent.name")


def average_is_asked_for(config: Any) -> Problem | None:
    """A proximal policy of its own is kept for an objective that measures from it."""
    if getattr(config.ascent, "ewma_decay", None) is None or config.objective.name == "custom":
        return None
    if "log_prob_prox" in objectives.find(config.objective.name).inputs:
        return None
    able = [name for name, row in objectives.OBJECTIVES.items() if "log_prob_prox" in row.inputs]
    message = (
        f"{config.objective.name} asks for no proximal policy; write null, "
        f"or take {' or '.join(able)}"
    )
    return _problem("ascent.ewma_decay", message, "objective.name")


def what_is_measured_on_the_way_is_there(config: Any) -> Problem | None:
    """Epochs and minibatches can be told apart where there are some, and not too many."""
    per, ascent = config.diagnostics.per, config.ascent
    if per == "update":
        return None
    if not hasattr(ascent, "num_epochs"):
        message = f"the policy takes one step per update under {ascent.name}; write update"
        return _problem("diagnostics.per", message, "ascent.name")
    count = ascent.num_epochs * (ascent.num_minibatches if per == "minibatch" else 1)
    if count <= MOST_COLUMNS:
        return None
    message = f"{per} makes {count} columns of every measure, at most {MOST_COLUMNS}; write "
    message += "epoch or update" if per == "minibatch" else "update"
    return _problem("diagnostics.per", message, "ascent.num_epochs", "ascent.num_minibatches")


def scale_of_the_advantage_lasts(config: Any) -> Problem | None:
    """Standardising every minibatch would undo it."""
    scale, standardise = config.advantage.scale, config.advantage.standardise
    if scale == 1.0 or standardise != "minibatch":
        return None
    message = f"{scale} is undone by advantage.standardise: minibatch; use batch or none there"
    return _problem("advantage.scale", message, "advantage.standardise")


RULES: tuple[Callable[[Any], Problem | None], ...] = (
    minibatches_divide_the_batch,
    a_trust_region_is_for_the_policy_alone,
    memory_has_a_size,
    batch_can_be_indexed,
    at_least_one_update,
    updates_can_be_counted,
    adapted_coefficient_exists,
    learning_rate_can_adapt,
    max_kl_can_be_annealed,
    horizon_holds_an_update,
    average_is_asked_for,
    weights_are_not_standardised,
    scale_of_the_advantage_lasts,
    what_is_measured_on_the_way_is_there,
)


def _problem(field: str, message: str, *related: str) -> Problem:
    return Problem("", 0, 0, field, message, related)


def _minibatches(ascent: Any) -> tuple[str, int]:
    """Where an ascent says into how many parts it cuts a batch, and what it says."""
    name = "num_minibatches" if hasattr(ascent, "num_minibatches") else "critic_minibatches"
    return f"ascent.{name}", getattr(ascent, name, 1)


def _divisors_near(count: int, batch: int) -> str:
    """The divisors of `batch` on either side of `count`."""
    small = [n for n in range(1, math.isqrt(batch) + 1) if batch % n == 0]
    divisors = sorted({*small, *(batch // n for n in small)})
    below = [n for n in divisors if n < count][-1:]
    above = [n for n in divisors if n > count][:1]
    return " or ".join(str(n) for n in below + above)


def _without(data: Mapping[str, Any], fields: set[str]) -> dict[str, Any]:
    """`data` less these fields; one inside a list takes the list with it."""
    kept = {}
    for key, value in data.items():
        inner = {field.removeprefix(f"{key}.") for field in fields if field.startswith(f"{key}.")}
        if key in fields or (inner and not isinstance(value, Mapping)):
            continue
        kept[key] = _without(value, inner) if inner else value
    return kept


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
