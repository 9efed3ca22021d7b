"""A network without memory."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax

from rl_surrogates.networks.initialisers import orthogonal
from rl_surrogates.types import Array, Distribution, Params


@dataclasses.dataclass(frozen=True)
class FeedForward:
    """A policy and a value function without memory: a `types.Network` whose carry is `()`.

    Each of the two has a torso of its own, so that a step of one cannot disturb the other;
    `params["policy"]` holds the parameters of its torso and of its head side by side.
    """

    torso: nn.Module
    policy_head: nn.Module
    value_head: nn.Module
    recurrent = False

    def init(self, key: Array, observation: Array) -> Params:
        """Parameters for observations like this one (no batch axis); consumes `key`."""

        def shapes(head: nn.Module) -> Params:
            features, of_torso = self.torso.init_with_output(key, observation)
            of_head = head.init(key, features)
            return {**of_torso.get("params", {}), **of_head["params"]}

        heads = {"policy": self.policy_head, "value": self.value_head}
        return orthogonal(
            key, {name: jax.eval_shape(lambda h=head: shapes(h)) for name, head in heads.items()}
        )

    def initial_carry(self, num_envs: int) -> tuple[()]:
        """Nothing to carry."""
        return ()

    def policy(self, params: Params, observation: Array) -> Distribution:
        """`[..., *event]` -> the policy's distribution at each state."""
        return self._apply(self.policy_head, params["policy"], observation)

    def value(self, params: Params, observation: Array) -> Array:
        """`[..., *event]` -> `[...]` state value, units of return."""
        return self._apply(self.value_head, params["value"], observation)

    def __call__(
        self, params: Params, observation: Array, reset: Array, carry: Any
    ) -> tuple[Distribution, Array, Any]:
        """Policy, value and the untouched carry; `reset` says nothing without memory."""
        return self.policy(params, observation), self.value(params, observation), carry

    unroll = __call__  # without memory a sequence is one more batch axis

    def _apply(self, head: nn.Module, params: Params, observation: Array) -> Any:
        features = self.torso.apply({"params": params}, observation)
        return head.apply({"params": params}, features)
