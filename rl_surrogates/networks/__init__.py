"""Which function maps an observation to a policy and a value?

Flax modules behind one protocol (`types.Network`): parameters are a plain tree `{"policy": ...,
"value": ...}`, and `network(params, observation, reset, carry) -> distribution, value, carry`
serves recurrent and feed-forward networks alike. A *torso* (`torsos`) turns observations into
features, a *head* (`heads`) features into a distribution or a value.
"""

import flax.linen as nn
import jax

from rl_surrogates.networks.feed_forward import FeedForward
from rl_surrogates.networks.heads import HEAD, CategoricalHead, ValueHead, make_policy_head
from rl_surrogates.networks.initialisers import orthogonal
from rl_surrogates.networks.torsos import ACTIVATIONS, MLP

__all__ = [
    "ACTIVATIONS",
    "HEAD",
    "MLP",
    "CategoricalHead",
    "FeedForward",
    "ValueHead",
    "make",
    "make_policy_head",
    "orthogonal",
]


def make(
    *,
    torso: str,
    hidden: tuple[int, ...],
    activation: str,
    policy_head: nn.Module,
    observation: jax.ShapeDtypeStruct,
) -> FeedForward:
    """The network with this head for its policy, for observations like `observation`.

    Raises:
      ValueError: no torso of that name.
    """
    if torso != "mlp":
        raise ValueError(f"network.torso: {torso!r} is not a torso; use mlp")
    return FeedForward(
        torso=MLP(tuple(hidden), ACTIVATIONS[activation], event_rank=len(observation.shape)),
        policy_head=policy_head,
        value_head=ValueHead(),
    )
