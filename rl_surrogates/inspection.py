"""What do the diagnostics see of an update? A program's policy and objectives on one batch.

The page calls `of_minibatch` on the way and `of_update` when it is over; `shadow` is for a notebook
that wants to know what the gradient of every other objective would have been on the same batch.
Batches are as the page's `judge` gives them, but time first for `policy_at` and `surrogate_at`.
"""

from collections.abc import Iterable
from typing import Any

import jax

from rl_surrogates import diagnostics, loop, rollout
from rl_surrogates.ascent import proximal
from rl_surrogates.diagnostics import Policy, Shadow, Surrogate
from rl_surrogates.objectives import OBJECTIVES, Objective
from rl_surrogates.types import Array, Batch, Distribution, Info, Learner, Params, State


def of_update(program: Any, state: State, learner: Learner, batch: Batch) -> Info:
    """How far an update has moved the policy from `state` to `learner`, on its whole batch.

    The objective is what the next step would climb: around the proximal policy of `learner`.
    """
    settings = program.config.diagnostics
    batch = time_first(program, batch._replace(proximal=proximal.kept(learner)))
    return diagnostics.measure(
        policy_at(program, batch),
        surrogate_at(program, batch, program.objective, state.coefficients),
        state.learner.params,
        learner.params,
        batch._replace(advantage=program.advantage(batch)),
        full=settings.level == "full",
        shadows=shadows_at(program, batch, settings.shadow),
    )


def of_minibatch(
    program: Any,
    params: Params,
    pi: Distribution,
    batch: Batch,
    coefficients: dict[str, Array],
    info: Info,
) -> Info:
    """What is measured before a step, on the samples of its minibatch.

    Of full diagnostics the `gradient_cosine` to the policy gradient; where measures are asked for
    `per` epoch or minibatch, all of them, `info` included, as the mapping `by_epoch` or
    `by_minibatch`.
    """
    settings, found = program.config.diagnostics, {}
    trained = surrogate_at(program, batch, program.objective, coefficients)
    if settings.level == "full":
        (reference,) = shadows_at(program, batch, ["importance_sampled"]).values()
        ways = trained, reference
        policy = policy_at(program, batch)
        found["gradient_cosine"] = diagnostics.gradient_cosine(policy, params, *ways)
    if settings.per != "update":
        seen = batch._replace(advantage=program.advantage(batch))
        still = jax.lax.stop_gradient(pi)
        moved = diagnostics.moved(still, trained, seen, quantiles=settings.level == "full")
        found[f"by_{settings.per}"] = {**info, **found, **moved}
    return found


def shadow(
    program: Any, params: Params, batch: Batch, names: Iterable[str] = tuple(OBJECTIVES)
) -> Shadow:
    """Norms `[K]` and cosines `[K, K]` of the gradients that these objectives have at `params`.

    Args:
      program: a `training.Program`; what it trains does not matter here.
      params: where the gradients are taken.
      batch: as `program.judge` gives it.
      names: rows of the catalogue, each with its default coefficients.
    """
    batch = time_first(program, batch)
    surrogates = shadows_at(program, batch, names)
    return diagnostics.shadow_objectives(policy_at(program, batch), params, surrogates)


def shadows_at(program: Any, batch: Batch, names: Iterable[str]) -> dict[str, Surrogate]:
    """Rows of the catalogue with their default coefficients, on this batch."""
    rows = {name: OBJECTIVES[name] for name in names}
    return {name: surrogate_at(program, batch, row, row.coefficients) for name, row in rows.items()}


def policy_at(program: Any, batch: Batch) -> Policy:
    """Parameters -> the policy at the states of a batch."""

    def policy(params: Params) -> Any:
        seen = batch.observation, batch.reset, batch.carry
        return loop.unroll(program.network, params, *seen)[0]

    return policy


def surrogate_at(
    program: Any, batch: Batch, objective: Objective, coefficients: dict[str, Any]
) -> Surrogate:
    """Policy at the states of a batch -> an objective per sample."""

    def surrogate(pi: Any) -> Array:
        log_prob = pi.log_prob(batch.action)
        return program.surrogate(pi, log_prob, batch, coefficients, objective)

    return surrogate


def time_first(program: Any, batch: Batch) -> Batch:
    """`[B, T, ...]` -> `[T, B, ...]` where the network is recurrent; samples stay as they are."""
    return rollout.as_sequences(batch) if program.network.recurrent else batch
