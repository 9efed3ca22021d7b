"""For how long may an update go on? Until its minibatches show that the policy moved too far.

    target_kl             before a step: mean k3 of its minibatch > 1.5 target_kl: this step and all
                          later ones of the update are not taken
    max_ratio_deviation   after a step: mean |r - 1| of its minibatch, as the step saw it, > the
                          limit: all later steps are not taken

Under jit this is a mask and no break: what is not taken leaves parameters, moments and counters bit
for bit, and costs what a step costs. The critic shares the step, so it stops as well; it goes on at
the next update.

The first is the rule of stable-baselines3. cleanrl compares the k3 of an epoch's last minibatch
with `target_kl` itself, at the end of the epoch. spinningup tests the mean k1 of the whole batch,
which may be negative, before each step, and goes on training the critic. The second is that of
early stopping policy optimisation (ESPO, with `importance_sampled`, up to 300 epochs and a limit of
0.25). RL-X draws one random minibatch per epoch and offers the median as well.

Source: Schulman et al. 2017, arXiv:1707.06347, code of its successors; Sun et al. 2022,
arXiv:2202.00079.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array, Batch, Info, Learner, Scalar

TOLERANCE = 1.5  # times target_kl


def begin(learner: Learner) -> tuple[Learner, Array]:
    """What `stopping` carries, before the first step of an update."""
    return learner, jnp.zeros((), bool)


def stopping(step: Callable, *, target_kl: Scalar, max_ratio_deviation: Scalar) -> Callable:
    """The same step as long as both limits allow, and none from then on.

    Args:
      step: `(learner, minibatch) -> (learner, info)`; info has `approx_kl`, `ratio_deviation`.
      target_kl: nats, >= 0; infinite for no limit. May be traced.
      max_ratio_deviation: dimensionless, >= 0; infinite for no limit. May be traced.

    Returns:
      A step on the pair of `begin`. Its info says besides whether the step was `taken`, and whether
      its minibatch was `seen`: all are until the update stops, and the one that stopped it as well.
    """

    def guarded(
        carry: tuple[Learner, Array], minibatch: Batch
    ) -> tuple[tuple[Learner, Array], Info]:
        learner, stopped = carry
        after, info = step(learner, minibatch)
        # Not a number is no reason to stop: the loss is none either, and is reported as such.
        skip = stopped | (info["approx_kl"] > TOLERANCE * target_kl)
        learner = jax.tree.map(partial(jnp.where, skip), learner, after)
        info = {**info, "taken": ~skip, "seen": ~stopped}
        return (learner, skip | (info["ratio_deviation"] > max_ratio_deviation)), info

    return guarded
