"""Which function maps an observation to a policy and a value?

Flax modules behind one protocol (`types.Network`): parameters are a plain tree `{"policy": ...,
"value": ...}`, and `network(params, observation, reset, carry) -> distribution, value, carry`
serves recurrent and feed-forward networks alike. The two functions have separate parameters, so
that a step of one cannot disturb the other.

Initialisation: orthogonal with gain sqrt(2) in the hidden layers, 0.01 for the last layer of the
policy (a nearly uniform start) and 1 for the value; biases 0. Source: Schulman et al. 2017 and its
reference code; its effect was measured by Andrychowicz et al. 2020, arXiv:2006.05990, section 3.2.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rl_surrogates.distributions import Categorical
from rl_surrogates.types import Array, Distribution, Params

HEAD = "head"  # the last layer of a module
HIDDEN_GAIN = math.sqrt(2.0)
GAINS = {"policy": 0.01, "value": 1.0}  # of the heads

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
}


class MLP(nn.Module):
    """Flattens the observation, then dense layers; the last one is linear."""

    hidden: tuple[int, ...]
    num_outputs: int
    activation: Callable[[Array], Array]
    event_rank: int  # how many trailing axes are one observation

    @nn.compact
    def __call__(self, observation: Array) -> Array:
        """`[..., *event]` -> `[..., num_outputs]` float32."""
        batch_shape = observation.shape[: observation.ndim - self.event_rank]
        hidden = observation.reshape(*batch_shape, -1).astype(jnp.float32)
        for width in self.hidden:
            hidden = self.activation(nn.Dense(width)(hidden))
        return nn.Dense(self.num_outputs, name=HEAD)(hidden)


@dataclasses.dataclass(frozen=True)
class FeedForward:
    """A policy module and a value module, without memory: a `types.Network` whose carry is `()`."""

    policy_module: nn.Module
    value_module: nn.Module
    recurrent = False

    def init(self, key: Array, observation: Array) -> Params:
        """Parameters for observations like this one (no batch axis); consumes `key`."""
        modules = {"policy": self.policy_module, "value": self.value_module}
        shapes = {
            name: jax.eval_shape(module.init, key, observation)["params"]
            for name, module in modules.items()
        }
        return orthogonal(key, shapes)

    def initial_carry(self, num_envs: int) -> tuple[()]:
        """Nothing to carry."""
        return ()

    def policy(self, params: Params, observation: Array) -> Distribution:
        """`[..., *event]` -> the policy's distribution at each state."""
        return Categorical(self.policy_module.apply({"params": params["policy"]}, observation))

    def value(self, params: Params, observation: Array) -> Array:
        """`[..., *event]` -> `[...]` state value, units of return."""
        return self.value_module.apply({"params": params["value"]}, observation)[..., 0]

    def __call__(
        self, params: Params, observation: Array, reset: Array, carry: Any
    ) -> tuple[Distribution, Array, Any]:
        """Policy, value and the untouched carry; `reset` says nothing without memory."""
        return self.policy(params, observation), self.value(params, observation), carry

    unroll = __call__  # without memory a sequence is one more batch axis


def make(
    *, torso: str, hidden: tuple[int, ...], activation: str, num_actions: int, observation: Any
) -> FeedForward:
    """The network for `num_actions` discrete actions and observations like `observation`."""
    if torso != "mlp":
        raise ValueError(f"network.torso: {torso!r} is not a torso; use mlp")
    build = {
        "hidden": tuple(hidden),
        "activation": ACTIVATIONS[activation],
        "event_rank": len(observation.shape),
    }
    return FeedForward(
        policy_module=MLP(num_outputs=num_actions, **build),
        value_module=MLP(num_outputs=1, **build),
    )


def orthogonal(key: Array, shapes: Params) -> Params:
    """Initial parameters: orthogonal kernels times their gain, zero biases; consumes `key`.

    All kernels come from one draw of normal numbers: every draw is compiled anew, and one for each
    kernel would take longer to compile than a whole update.

    Args:
      key: `[]`.
      shapes: the tree `{"policy": ..., "value": ...}` of shapes, kernels `[inputs, outputs]`.

    Source: Saxe et al. 2014, arXiv:1312.6120; the gains as in the module docstring.
    """
    kernels = [leaf for leaf in jax.tree.leaves(shapes) if len(leaf.shape) > 1]
    sizes = [math.prod(leaf.shape) for leaf in kernels]
    ends = list(itertools.accumulate(sizes))[:-1]
    normal = iter(jnp.split(jax.random.normal(key, (sum(sizes),)), ends))

    def fill(path: tuple, leaf: Any) -> Array:
        if len(leaf.shape) < 2:
            return jnp.zeros(leaf.shape, leaf.dtype)
        names = [entry.key for entry in path]
        gain = GAINS[names[0]] if HEAD in names else HIDDEN_GAIN
        return gain * _orthonormal(next(normal).reshape(-1, leaf.shape[-1])).reshape(leaf.shape)

    return jax.tree_util.tree_map_with_path(fill, shapes)


def _orthonormal(normal: Array) -> Array:
    """A normal matrix made orthonormal in its columns, or its rows if it is wide."""
    rows, columns = normal.shape
    q, r = jnp.linalg.qr(normal if rows >= columns else normal.T)
    q = q * jnp.sign(jnp.diag(r))
    return q if rows >= columns else q.T
