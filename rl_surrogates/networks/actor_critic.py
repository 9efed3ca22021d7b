"""A policy and a value function, each a torso and a head, with or without memory."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rl_surrogates import spaces
from rl_surrogates.networks.inputs import Read
from rl_surrogates.types import Array, Distribution, Params

POLICY, VALUE, TORSO = "policy", "value", "torso"


@dataclasses.dataclass(frozen=True)
class ActorCritic:
    """A `types.Network` of flax modules.

    Policy and value function have a torso each, so that a step of one cannot disturb the other, or
    `shared` torsos: one for both. `params["policy"]` and `params["value"]` hold the parameters of
    the heads, and beside them those of the torsos; a shared torso's are `params["torso"]`. The
    carry has one entry per torso; without memory it is `()`. The action mask of an observation that
    has one goes to the policy's distribution, and nowhere else.
    """

    read: Read
    torso: nn.Module
    policy_head: nn.Module
    value_head: nn.Module
    initialise: Callable[[Array, Params], Params]
    shared: bool = False

    @property
    def recurrent(self) -> bool:
        """Whether the torso has a memory."""
        return self.torso.recurrent

    def init(self, key: Array, observation: Any) -> Params:
        """Parameters for observations like this one (no batch axis); consumes `key`."""
        return self.initialise(key, jax.eval_shape(self._begin, key, observation))

    def initial_carry(self, num_envs: int) -> Any:
        """The carry before an episode, `[B, ...]`; `()` without memory."""
        if not self.recurrent:
            return ()
        torsos = self._torso_of(POLICY, VALUE).values()
        return {name: self.torso.initial_carry(num_envs) for name in torsos}

    def policy(
        self, params: Params, observation: Any, reset: Array | None = None, carry: Any = None
    ) -> Distribution:
        """`[..., *event]` -> the policy's distribution at each state.

        A network with memory needs `reset` `[...]` and `carry`; the next carry is what calling the
        network gives.
        """
        features, _ = self._features((POLICY,), params, observation, reset, carry)
        return self._distribution(params, features, observation)

    def value(
        self, params: Params, observation: Any, reset: Array | None = None, carry: Any = None
    ) -> Array:
        """`[..., *event]` -> `[...]` state value, units of return; arguments as for `policy`."""
        features, _ = self._features((VALUE,), params, observation, reset, carry)
        return self.value_head.apply({"params": params[VALUE]}, features[VALUE])

    def __call__(
        self, params: Params, observation: Any, reset: Array, carry: Any
    ) -> tuple[Distribution, Array, Any]:
        """One step of any batch: policy, value and the next carry."""
        return self._both(params, observation, reset, carry, "__call__")

    def unroll(
        self, params: Params, observation: Any, reset: Array, carry: Any
    ) -> tuple[Distribution, Array, Any]:
        """A sequence `[T, B]` from `carry` `[B]`: policy, value and the carry after each step."""
        return self._both(params, observation, reset, carry, "unroll")

    def _both(
        self, params: Params, observation: Any, *rest: Any
    ) -> tuple[Distribution, Array, Any]:
        features, carry = self._features((POLICY, VALUE), params, observation, *rest)
        distribution = self._distribution(params, features, observation)
        value = self.value_head.apply({"params": params[VALUE]}, features[VALUE])
        return distribution, value, carry

    def _distribution(
        self, params: Params, features: dict[str, Array], observation: Any
    ) -> Distribution:
        distribution = self.policy_head.apply({"params": params[POLICY]}, features[POLICY])
        _, mask = spaces.split_mask(observation)
        return distribution if mask is None else distribution._replace(mask=mask)

    def _features(
        self,
        heads: tuple[str, ...],
        params: Params,
        observation: Any,
        reset: Array | None,
        carry: Any,
        method: str = "__call__",
    ) -> tuple[dict[str, Array], Any]:
        """What each of `heads` sees, and the next carry; a shared torso is computed once."""
        inputs, torso_of = self._seen(observation), self._torso_of(*heads)
        torsos = dict.fromkeys(torso_of.values())
        if not self.recurrent:  # a sequence is one more batch axis
            features = self.torso.of_each([params[name] for name in torsos], inputs)
            found = dict(zip(torsos, features, strict=True))
            return {head: found[name] for head, name in torso_of.items()}, ()
        if reset is None or carry is None:
            raise ValueError("a network with memory needs reset and carry")
        both = {
            name: self.torso.apply(
                {"params": params[name]}, inputs, reset, carry[name], method=method
            )
            for name in torsos
        }
        features = {head: both[name][0] for head, name in torso_of.items()}
        return features, {name: carry for name, (_, carry) in both.items()}

    def _seen(self, observation: Any) -> Array:
        return self.read(spaces.split_mask(observation)[0])

    def _torso_of(self, *heads: str) -> dict[str, str]:
        return {head: TORSO if self.shared else head for head in heads}

    def _begin(self, key: Array, observation: Any) -> Params:
        """Parameters of the right shapes; their values do not count."""
        inputs = self._seen(observation)
        if self.recurrent:
            memory = self.torso.initial_carry(1)[0]
            (features, _), begun = self.torso.init_with_output(
                key, inputs, jnp.zeros((), bool), memory
            )
        else:
            features, begun = self.torso.init_with_output(key, inputs)
        of_torso = begun.get("params", {})
        modules = {POLICY: self.policy_head, VALUE: self.value_head}
        of_heads = {name: head.init(key, features)["params"] for name, head in modules.items()}
        if self.shared:
            return {TORSO: of_torso, **of_heads}
        return {name: {**of_torso, **of_head} for name, of_head in of_heads.items()}
