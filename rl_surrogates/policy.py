"""How does a trained policy act, once its training is over?

A `Policy` is what an actor (parameters, and the statistics behind which the network sees
observations) and the config that says what network it is come to. `store.policies` keeps them.
"""

import dataclasses
from typing import Any

import jax

from rl_surrogates import assembly, environments, normalisation, spaces
from rl_surrogates.config import Config
from rl_surrogates.types import Actor, Array, Environment, Network


@dataclasses.dataclass(frozen=True)
class Policy:
    """Acts as a training does; a call maps an observation to an action of the environment."""

    config: Config
    network: Network  # for observations as the environment gives them
    actor: Actor
    space: spaces.Space

    def __call__(self, observation: Any, key: Array | None = None) -> Array:
        """The action for one observation, or for a batch of them.

        Args:
          observation: `[..., *event]` as the environment gives it.
          key: to draw from the policy; consumed. Without one the action is the greedy one.

        Raises:
          ValueError: a policy with memory; `step` hands its memory on.
        """
        if self.network.recurrent:
            raise ValueError("this policy has a memory: use policy.step, from policy.start(B)")
        return self.step(observation, None, (), key)[0]

    def start(self, num_envs: int) -> Any:
        """The memory before an episode of `B` environments; `()` where there is none."""
        return self.network.initial_carry(num_envs)

    def step(
        self, observation: Any, reset: Array | None, carry: Any, key: Array | None = None
    ) -> tuple[Array, Any]:
        """Actions for `[B, *event]`, and the memory after them.

        Args:
          observation: `[B, *event]` as the environment gives it.
          reset: `[B]` bool, True where an episode begins; without memory it is not read.
          carry: of the last step, or of `start`.
          key: to draw from the policy; consumed. Without one the actions are the greedy ones.
        """
        distribution, _, carry = self.network(self.actor.params, observation, reset, carry)
        sample = distribution.mode() if key is None else distribution.sample(key)
        return spaces.to_environment(self.space, distribution.action(sample)), carry


def make_policy(config: Config, actor: Actor, env: Environment, params: Any) -> Policy:
    """The policy of an actor that was trained as `config` says, in `env` with these parameters."""
    network = assembly.network_for(config, env, params)
    network = normalisation.acting_network(network, actor.normaliser)
    return Policy(config, network, actor, environments.action_space(env, params))


def expected_actor(config: Config, env: Environment, params: Any) -> Actor:
    """Shapes and types of the actor of such a training, found by tracing it."""
    network = assembly.network_for(config, env, params)

    def begin(key: Array) -> Actor:
        observation, _ = env.reset(key, params)
        statistics = normalisation.start(
            observation, 1, observations=config.normalise.observations, rewards=False
        )
        return Actor(network.init(key, observation), statistics)

    return jax.eval_shape(begin, jax.random.key(0))
