"""One long step on a rollout: along the natural gradient, as far as the policy may move.

    g = grad L(theta),   F v = mean_s J'M J v + damping v,   x = F^-1 g
    full = sqrt(2 max_kl / x'F x) x

    natural_gradient    theta + full
    trust_region        theta + backtrack^j full, with the first j at which KL(old || new) <= max_kl
                        and L is strictly larger than before, both finite; theta, bit for bit, where
                        there is no such j

L is the mean objective (any row of the table) plus ent_coef times the entropy, KL the exact mean
over the states of the rollout. Of J, the slope of the distribution's numbers in the policy's
parameters, and M, the Hessian of the KL in those numbers, F is the Fisher information: the second
derivative of KL(old || new) at new = old. Both are linearised once per update; each product then
costs two passes of the network.

The damping belongs to F in x'F x too: the quadratic model of the KL is max_kl at `full` in the
damped metric, and a little less in the undamped one. The papers have no damping; the public codes
that do (baselines, spinningup, garage, sb3-contrib) have it in both places, as here. Their tests
differ: baselines accepts KL <= 1.5 max_kl, sb3-contrib measures KL(new || old).

The value function is fitted afterwards, by Adam on minibatches. Policy and value function must not
share parameters: what the critic learns would move the policy out of the region.

Source: Kakade 2001, "A natural policy gradient"; Schulman et al. 2015, arXiv:1502.05477, sec. 6 and
appendix C.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates import distributions, solvers
from rl_surrogates.ascent.critic import adam, fit_critic
from rl_surrogates.types import (
    Array,
    Ascent,
    Batch,
    Distribution,
    Info,
    Learner,
    Loss,
    Params,
    Scalar,
    Score,
)


class Shift(NamedTuple):
    """What a candidate is judged by, and what is reported of it."""

    objective: Array  # [] L, to maximise
    kl: Array  # [] mean KL(old || new), nats
    approx_kl: Array  # [] k3 estimate of the same from the actions taken, nats
    clip_fraction: Array  # [] share of samples with |r - 1| > 0.2


class NaturalStep(NamedTuple):
    """The longest step that the quadratic model of the KL allows."""

    full: Any  # as the policy's parameters; 0 where there is none
    exists: Array  # [] bool: x'Fx is positive and finite
    gain: Array  # [] g'full, the improvement that the linear model of L predicts
    info: Info


Search = Callable[..., tuple[Array, Shift, Info]]  # (measure, exists, before, hypers)


def trust_region(
    *,
    cg_iterations: int,
    max_backtracks: int,
    critic_epochs: int,
    critic_minibatches: int,
    fisher_every: int,
) -> Ascent:
    """The natural step, shortened until it keeps its promises: TRPO.

    Args:
      cg_iterations: products with F for one step, at most, >= 1.
      max_backtracks: lengths tried, >= 1; the last one is `backtrack^(max_backtracks - 1)`.
      critic_epochs: passes over the batch for the value function, >= 0.
      critic_minibatches: parts of one pass; divides the leading axis of the batch.
      fisher_every: F is averaged over every so-manyth sample (or sequence), >= 1.
    """

    def search(
        measure: Callable, exists: Array, before: Shift, hypers: Any
    ) -> tuple[Array, Shift, Info]:
        acceptable = partial(
            _keeps_its_promises, before=before, max_kl=hypers.max_kl, exists=exists
        )
        return solvers.backtracking(
            measure, acceptable, before, shrink=hypers.backtrack, num_tries=max_backtracks
        )

    return _ascent(search, cg_iterations, fisher_every, critic_epochs, critic_minibatches)


def natural_gradient(
    *, cg_iterations: int, critic_epochs: int, critic_minibatches: int, fisher_every: int
) -> Ascent:
    """The natural step as it is, whatever comes of it; arguments as of `trust_region`."""

    def search(
        measure: Callable, exists: Array, before: Shift, hypers: Any
    ) -> tuple[Array, Shift, Info]:
        length = exists.astype(jnp.float32)
        after = solvers.select(exists, measure(length), before)
        return length, after, {"accepted": exists, "backtracks": jnp.zeros((), jnp.int32)}

    return _ascent(search, cg_iterations, fisher_every, critic_epochs, critic_minibatches)


def _ascent(
    search: Search,
    cg_iterations: int,
    fisher_every: int,
    critic_epochs: int,
    critic_minibatches: int,
) -> Ascent:
    """What both have in common: where the step comes from, and the value function."""

    def init(params: Params) -> Learner:
        opt_state = adam(0.0).init(params["value"])
        return Learner(params, opt_state, jnp.zeros((), jnp.int32))

    def ascend(
        key: Array, loss: Loss, learner: Learner, batch: Batch, hypers: Any
    ) -> tuple[Learner, Info]:
        score = partial(_score, loss, learner.params)
        policy, moved = _move(
            search, score, learner.params["policy"], batch, hypers, cg_iterations, fisher_every
        )
        learner, fitted = fit_critic(
            key,
            loss,
            learner._replace(params={**learner.params, "policy": policy}),
            batch,
            learning_rate=hypers.critic_learning_rate,
            num_epochs=critic_epochs,
            num_minibatches=critic_minibatches,
        )
        return learner._replace(update=learner.update + 1), {**moved, **fitted}

    return Ascent(init, ascend)


def _move(
    search: Search,
    score: Callable[[Params, Batch], Score],
    old: Params,
    batch: Batch,
    hypers: Any,
    cg_iterations: int,
    fisher_every: int,
) -> tuple[Params, Info]:
    """The policy's parameters after the step, if it is taken, and what came of it."""

    def objective(policy: Params) -> tuple[Array, Score]:
        scored = score(policy, batch)
        return -scored.policy, scored

    gradient, before = jax.grad(objective, has_aux=True)(old)
    part = every(batch, fisher_every)
    product = fisher_product(lambda p: score(p, part).distribution, old, hypers.damping)
    step = natural_step(product, gradient, hypers.max_kl, cg_iterations)

    def measure(length: Array) -> Shift:
        return _shift(score(solvers.add(old, length, step.full), batch))

    length, after, found = search(measure, step.exists, _shift(before), hypers)
    moved = solvers.add(old, length, step.full)
    info = {**report(gradient, before, after, step, length), **found}
    return solvers.select(found["accepted"], moved, old), info


def natural_step(
    product: Callable[[Params], Params], gradient: Params, max_kl: Scalar, cg_iterations: int
) -> NaturalStep:
    """The step along `F^-1 g` at which `step'F step / 2`, the model of the KL, is `max_kl`.

    No step where `g` is zero or not finite, or `F` has no positive curvature along the answer.
    """
    x, solved = solvers.conjugate_gradient(product, gradient, num_iterations=cg_iterations)
    norm = solvers.dot(x, product(x))
    exists = (norm > 0.0) & jnp.isfinite(norm)
    length = jnp.where(exists, jnp.sqrt(2.0 * max_kl / jnp.where(exists, norm, 1.0)), 0.0)
    full = jax.tree.map(lambda leaf: length * leaf, x)
    info = {
        "cg_residual": solved["residual"],
        "positive_curvature": solved["positive_curvature"],
        "curvature": jnp.where(exists, norm / jnp.where(exists, solvers.dot(x, x), 1.0), 0.0),
    }
    return NaturalStep(full, exists, solvers.dot(gradient, full), info)


def fisher_product(
    policy: Callable[[Params], Distribution], params: Params, damping: Scalar
) -> Callable[[Params], Params]:
    """`v -> F v = mean_s J'M J v + damping v`, linearised at `params` once for all products.

    Equals the Hessian of the mean `KL(old || policy(params))` at `old = policy(params)`. Without
    damping it is positive semidefinite, up to rounding.

    Args:
      policy: parameters to the distribution at `[...]` states.
      params: where to linearise.
      damping: added to the diagonal, >= 0. May be traced.
    """

    def numbers(params: Params) -> list[Array]:
        return distributions.numbers(policy(params))

    old = policy(params)

    def slope(numbers: list[Array]) -> list[Array]:
        return jax.grad(lambda n: jnp.mean(old.kl(distributions.with_numbers(old, n))))(numbers)

    at, forward = jax.linearize(numbers, params)
    _, metric = jax.linearize(slope, at)
    backward = jax.linear_transpose(forward, params)

    def product(v: Params) -> Params:
        (curved,) = backward(metric(forward(v)))
        return solvers.add(curved, damping, v)

    return product


def every(batch: Batch, stride: int) -> Batch:
    """Every `stride`-th sample or sequence, the first one included."""
    return batch if stride == 1 else jax.tree.map(lambda leaf: leaf[::stride], batch)


def report(gradient: Params, before: Score, after: Shift, step: NaturalStep, length: Array) -> Info:
    """What was promised, and what came of it; all scalars."""
    norm = solvers.dot(gradient, gradient)
    old = _shift(before)
    return {
        "policy_loss": before.info["policy_loss"],
        "entropy": before.info["entropy"],
        "approx_kl": after.approx_kl,
        "clip_fraction": after.clip_fraction,
        "first_ratio_error": before.info["ratio_error"],
        "grad_norm": jnp.sqrt(norm),
        "finite": jnp.isfinite(old.objective) & jnp.isfinite(norm),
        "kl_before": old.kl,
        "kl_after": after.kl,
        "surrogate_improvement": after.objective - old.objective,
        "predicted_improvement": length * step.gain,
        **step.info,
    }


def _score(loss: Loss, params: Params, policy: Params, batch: Batch) -> Score:
    return loss({**params, "policy": policy}, batch)


def _keeps_its_promises(after: Shift, before: Shift, max_kl: Scalar, exists: Array) -> Array:
    finite = jnp.isfinite(after.objective) & jnp.isfinite(after.kl)
    return exists & finite & (after.objective > before.objective) & (after.kl <= max_kl)


def _shift(score: Score) -> Shift:
    return Shift(-score.policy, score.kl, score.info["approx_kl"], score.info["clip_fraction"])
