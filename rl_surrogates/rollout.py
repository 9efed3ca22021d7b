"""How is experience collected on the accelerator?

`collect` acts for `T` steps in `B` environments inside one `lax.scan` and keeps, for every step,
the true successor s_{t+1} *before* any reset: the only observation from which a value may be
bootstrapped at a time limit.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates import environments, spaces
from rl_surrogates.types import (
    Acting,
    Array,
    Batch,
    Distribution,
    Environment,
    Network,
    Params,
    Transition,
)

# Of the loop, on an accelerator; 8 take 2 % less time and a third longer to compile.
STEPS_PER_TURN = 4


class Chance(NamedTuple):
    """What one step leaves to chance; `[T]` more in front for a rollout."""

    noise: Any  # [B, ...] of the actions
    env: environments.Chance  # [B]


def chances(
    key: Array, env: Environment, env_params: Any, policy: Distribution, shape: tuple[int, ...] = ()
) -> Chance:
    """What `shape` steps of `B` environments leave to chance; consumes `key`.

    Drawn for all steps of a rollout at once, and not one after the other in its loop, as none of it
    depends on what the steps come to.

    Args:
      key: for all of it.
      env: whose steps they are.
      env_params: its parameters.
      policy: `[B]` any distribution of the policy; its shapes count.
      shape: `[T]`, or nothing for one step.
    """
    num_envs = jax.tree.leaves(policy)[0].shape[0]
    # One split for all: every call of the generator is loops of its own to compile.
    # All in one row: the compiler would unroll the short axes of a table, and take much longer.
    row = math.prod(shape) * num_envs
    keys = jax.random.split(key, 1 + 2 * row)
    wide = jax.tree.map(lambda of: jax.ShapeDtypeStruct((row, *of.shape[1:]), of.dtype), policy)
    draw = jax.vmap(partial(environments.draw, env), in_axes=(0, 0, None))
    fresh = draw(keys[1 : 1 + row], keys[1 + row :], env_params)
    drawn = Chance(wide.noise(keys[0]), strongly_typed(fresh))
    return jax.tree.map(lambda leaf: leaf.reshape(*shape, num_envs, *leaf.shape[1:]), drawn)


def start(keys: Array, env: Environment, env_params: Any, network: Network) -> Acting:
    """The first observation of `B` fresh environments; consumes `keys` `[B]`, one for each."""
    num_envs = len(keys)
    observation, env_state = jax.vmap(env.reset, in_axes=(0, None))(keys, env_params)
    observation, env_state = strongly_typed((observation, env_state))
    shown = environments.observation_space(env, env_params)
    return Acting(
        env_state=env_state,
        observation=spaces.to_storage(shown, observation),
        reset=jnp.ones(num_envs, bool),
        carry=network.initial_carry(num_envs),
        episode_return=jnp.zeros(num_envs),
        episode_length=jnp.zeros(num_envs, jnp.int32),
    )


def collect(
    key: Array,
    env: Environment,
    env_params: Any,
    network: Network,
    params: Params,
    acting: Acting,
    *,
    num_steps: int,
) -> tuple[Acting, Transition]:
    """Samples `num_steps` steps: `(acting, transitions [T, B, ...])`; consumes `key`."""

    def act(acting: Acting, chance: Chance) -> tuple[Acting, Transition]:
        return step(chance, env, env_params, network, params, acting, sample)

    policy = policy_shape(network, params, acting)
    drawn = chances(key, env, env_params, policy, (num_steps,))
    return jax.lax.scan(act, acting, drawn, unroll=steps_per_turn())


def steps_per_turn() -> int:
    """Steps in one turn of the loop. An accelerator stores each part of several transitions at once
    and moves the state of the environments as often as the loop turns: half of the launches. A CPU
    gains nothing, and compiles every step of a turn.
    """
    return 1 if jax.default_backend() == "cpu" else STEPS_PER_TURN


def policy_shape(network: Network, params: Params, acting: Acting) -> Distribution:
    """The shapes of the policy's distribution at these observations."""
    inputs = (params, acting.observation, acting.reset, acting.carry)
    return jax.eval_shape(lambda *inputs: network(*inputs)[0], *inputs)


def step(
    chance: Chance,
    env: Environment,
    env_params: Any,
    network: Network,
    params: Params,
    acting: Acting,
    choose: Callable[[Distribution, Any], Array],
) -> tuple[Acting, Transition]:
    """One step of `B` environments with `action = choose(distribution, noise)`.

    The action is kept as it was drawn, with its log-probability; the environment is handed its
    translation.
    """
    distribution, _, carry = network(params, acting.observation, acting.reset, acting.carry)
    action = choose(distribution, chance.noise)
    space = environments.action_space(env, env_params)
    handed = spaces.to_environment(space, distribution.action(action))
    of_env = jax.vmap(partial(environments.step, env), in_axes=(0, 0, 0, None))
    *begun, reward, terminated, truncated, info = of_env(
        chance.env, acting.env_state, handed, env_params
    )
    shown = environments.observation_space(env, env_params)
    transition = Transition(
        observation=acting.observation,
        reset=acting.reset,
        action=action,
        log_prob=distribution.log_prob(action),
        distribution=distribution,
        reward=reward,
        terminated=terminated,
        truncated=truncated,
        next_observation=spaces.to_storage(shown, info["final_observation"]),
        episode_return=acting.episode_return + reward,
        episode_length=acting.episode_length + 1,
    )
    observation, env_state = strongly_typed(tuple(begun))
    observation = spaces.to_storage(shown, observation)
    return moved_on(transition, observation, env_state, carry), transition


def moved_on(transition: Transition, observation: Any, env_state: Any, carry: Any) -> Acting:
    """Where the environments stand after a transition, the next episode begun where one ended."""
    ended = transition.terminated | transition.truncated
    return Acting(
        env_state=env_state,
        observation=observation,
        reset=ended,
        carry=carry,
        episode_return=jnp.where(ended, 0.0, transition.episode_return),
        episode_length=jnp.where(ended, 0, transition.episode_length),
    )


def strongly_typed(tree: Any) -> Any:
    """The same values without weak types, as a state that starts at `time=0` has them.

    A state whose types change from one update to the next is compiled twice; so is the program that
    goes on from a checkpoint, which keeps no weak types.
    """
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), tree)


def sample(distribution: Distribution, noise: Any) -> Array:
    """An action drawn from the policy."""
    return distribution.perturbed(noise)


def as_samples(batch: Batch) -> Batch:
    """`[T, B, ...]` -> `[N, ...]`: every step a sample of its own."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), batch)


def as_sequences(batch: Batch) -> Batch:
    """`[T, B, ...]` <-> `[B, T, ...]`: sequences as samples; the carry is `[B, ...]` either way."""
    samples = batch._replace(carry=(), proximal=None)
    swapped = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), samples)
    return swapped._replace(carry=batch.carry, proximal=batch.proximal)
