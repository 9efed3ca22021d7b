"""What is measured once per update, when it is over, and what does it cost?

Measured on PPO's CartPole (4 x 128 steps, 4 epochs x 4 minibatches, 16 lanes, two shared CPU cores,
jax 0.10.2) beside a training that measures nothing here, medians of seven interleaved pairs, times
the processor time: the basic set 1.07 (0.99 to 1.08), that and all of it at every minibatch 1.10
(1.02 to 1.13), the full set 1.77 (1.71 to 1.80; most of it is `gradient_cosine`, at every
minibatch); the full set with the 39 objectives of the catalogue as shadows, earlier, 5.5 times the
run time. What is least is one more pass of the policy beside the two dozen or so of the update.
`benchmarks/price_of_diagnostics.py` measures again.
"""

from collections.abc import Mapping

from rl_surrogates.diagnostics import direction, distance
from rl_surrogates.diagnostics.direction import Policy
from rl_surrogates.diagnostics.distance import Surrogate
from rl_surrogates.types import Batch, Distribution, Info, Params


def measure(
    policy: Policy,
    surrogate: Surrogate,
    old: Params,
    new: Params,
    batch: Batch,
    *,
    full: bool,
    shadows: Mapping[str, Surrogate],
) -> Info:
    """How far an update has moved the policy, on its whole batch.

    Args:
      policy: parameters -> policy at the states of the batch.
      surrogate: the objective that was trained, as a function of the policy at those states.
      old: parameters before the update.
      new: parameters after it.
      batch: the samples of the update.
      full: adds `ratio_quantiles` and `improvement`.
      shadows: objectives to compare the gradient of `surrogate` with, at `new`.
    """
    info = moved(policy(new), surrogate, batch, quantiles=full)
    if full:
        info |= direction.improvement(policy, surrogate, old, new)
    if shadows:
        both = {"": surrogate, **shadows}
        shadow = direction.shadow_objectives(policy, new, both)
        info |= direction.shadow_metrics(shadow, tuple(shadows))
    return info


def moved(pi: Distribution, surrogate: Surrogate, batch: Batch, *, quantiles: bool) -> Info:
    """How far `pi`, at the states of the batch, has moved, and which samples still move it."""
    old, action, log_prob_old = batch.distribution_old, batch.action, batch.log_prob_old
    info = distance.movement(pi, old, action, log_prob_old, batch.advantage)
    info["zero_gradient_share"] = distance.zero_gradient_share(surrogate, pi)
    if quantiles:
        info |= distance.ratio_quantiles(pi.log_prob(action), log_prob_old)
    return info
