"""Which function maps an observation to a policy and a value?

Flax modules behind one protocol (`types.Network`): parameters are a plain tree `{"policy": ...,
"value": ...}`, and `network(params, observation, reset, carry) -> distribution, value, carry`
serves recurrent and feed-forward networks alike. `inputs` says what is seen of an observation, a
*torso* (`torsos`, `recurrent`) turns that into features, a *head* (`heads`) features into a
distribution or a value, and `initialisers` say how parameters begin.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from rl_surrogates.networks import inputs
from rl_surrogates.networks.actor_critic import ActorCritic
from rl_surrogates.networks.heads import HEAD, CategoricalHead, ValueHead, make_policy_head
from rl_surrogates.networks.initialisers import INITIALISERS, lecun, orthogonal
from rl_surrogates.networks.recurrent import GRU
from rl_surrogates.networks.torsos import ACTIVATIONS, CNN, MLP

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "DTYPES",
    "GRU",
    "HEAD",
    "INITIALISERS",
    "MLP",
    "TORSOS",
    "ActorCritic",
    "CategoricalHead",
    "ValueHead",
    "lecun",
    "make",
    "make_policy_head",
    "orthogonal",
]

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
TORSOS = ("mlp", "cnn", "gru")


def make(
    *,
    torso: str,
    hidden: tuple[int, ...],
    activation: str,
    policy_head: nn.Module,
    observation: Any,
    observation_space: Any = None,
    channels: tuple[int, ...] = (16,),
    shared: bool = False,
    initialisation: str = "orthogonal",
    dtype: str = "float32",
) -> ActorCritic:
    """The network with this head for its policy, for observations like `observation`.

    Args:
      torso: one of `TORSOS`.
      hidden: units per layer; the last is the memory of a gru.
      activation: one of `ACTIVATIONS`.
      policy_head: one of `heads`.
      observation: shapes and types of one observation, any tree, no batch axis.
      observation_space: what the environment says about it, if anything.
      channels: of the convolutions of a cnn.
      shared: whether policy and value function have one torso, or one each.
      initialisation: one of `INITIALISERS`.
      dtype: one of `DTYPES`; what the torso computes in.

    Raises:
      ValueError: no torso of that name, or one that does not fit the observation.
    """
    if torso not in TORSOS:
        raise ValueError(f"network.torso: {torso!r} is not a torso; use {', '.join(TORSOS)}")
    settings = {
        "hidden": tuple(hidden),
        "activation": ACTIVATIONS[activation],
        "dtype": DTYPES[dtype],
    }
    if torso == "cnn":
        read = inputs.image(observation, smallest=CNN.smallest_image(channels))
        module = CNN(channels=tuple(channels), **settings)
    else:
        read = inputs.flat(observation, observation_space)
        module = (GRU if torso == "gru" else MLP)(**settings)
    return ActorCritic(
        read=read,
        torso=module,
        policy_head=policy_head,
        value_head=ValueHead(),
        initialise=INITIALISERS[initialisation],
        shared=shared,
    )
