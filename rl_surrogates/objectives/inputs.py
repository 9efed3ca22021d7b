"""What an objective may ask for, and how its data enter.

An objective names its per-sample arrays by its positional parameters; whoever calls it passes what
it asks for, by name. Gradients flow through `log_prob` and the KLs only: everything else is data
and enters through a stop-gradient.
"""

import jax

from rl_surrogates.divergences import check_shapes
from rl_surrogates.types import Array

INPUTS = (
    "log_prob",  # [...] of the policy being improved, nats
    "log_prob_old",  # [...] of the policy that acted, nats; data
    "advantage",  # [...] in units of return, or standardised; data
    "kl_old_new",  # [...] exact KL(old||new) at the state, nats
    "kl_new_old",  # [...] exact KL(new||old) at the state, nats
    "log_prob_prox",  # [...] of the proximal policy, where one is kept, nats; data
)


def as_data(advantage: Array, log_prob: Array) -> Array:
    """The advantage without its gradient, after a check that it fits `log_prob`.

    Raises:
      ValueError: the two shapes do not broadcast.
    """
    check_shapes(log_prob=log_prob, advantage=advantage)
    return jax.lax.stop_gradient(advantage)
