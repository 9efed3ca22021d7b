"""From which policy is the trust region measured? From an average of the last ones.

    W' = beta W + 1,    theta_prox <- theta_prox + (theta - theta_prox) / W',    W = 1 at first

after every step that is taken: an exponential moving average of the parameters, corrected for its
short memory at the start. The objectives that ask for `log_prob_prox` (`decoupled_clip`,
`geppo_clip`) then clip around this policy, while the importance weight stays that of the policy
that acted. With beta = 0 it is the present policy; with beta -> 1 the mean of all there have been.
The centre of mass lies m steps back for beta = 1 - 1 / (1 + m): 0.889 is 8 steps.

The released code (openai/ppo-ewma) also caps the ratio at 100, and keeps the average in PPG.

Source: Hilton et al. 2021, arXiv:2110.00641, section 3 and appendix A.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array, Batch, Info, Learner, Params, Scalar


class Averaged(NamedTuple):
    """The optimiser's state beside the average of what it has made of the parameters."""

    optimiser: Any
    params: Params  # theta_prox
    weight: Array  # [] W: how many parameters the average is worth


def averaged(learner: Learner) -> Learner:
    """A new learner whose average is its parameters."""
    state = Averaged(learner.opt_state, learner.params, jnp.ones((), jnp.float32))
    return learner._replace(opt_state=state)


def kept(learner: Learner) -> Params | None:
    """The average, where one is kept."""
    state = learner.opt_state
    return state.params if isinstance(state, Averaged) else None


def averaging(step: Callable, decay: Scalar) -> Callable:
    """The same step, which shows the average to the loss and then draws it after the parameters.

    Args:
      step: `(learner, minibatch) -> (learner, info)`.
      decay: beta, in [0, 1). May be traced.

    Returns:
      A step on learners of `averaged`.
    """

    def averaging_step(learner: Learner, minibatch: Batch) -> tuple[Learner, Info]:
        state = learner.opt_state
        after, info = step(
            learner._replace(opt_state=state.optimiser), minibatch._replace(proximal=state.params)
        )
        weight = decay * state.weight + 1.0
        params = jax.tree.map(
            lambda prox, new: prox + (new - prox) / weight, state.params, after.params
        )
        return after._replace(opt_state=Averaged(after.opt_state, params, weight)), info

    return averaging_step
