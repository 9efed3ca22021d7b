"""How good is a policy? A number of episodes fixed beforehand, each run to its end, on the
accelerator.

One environment per episode, and of each environment only the first episode: averaging whatever
finishes inside a window would favour short episodes. Keys never derive from those of training, so
that evaluating, or not, leaves every bit of a training as it is.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates import environments, rollout
from rl_surrogates.types import Acting, Array, Distribution, Environment, Network, Params

ROOT = 0x5EED  # the evaluation keys of a seed are children of this key, not of the seed's own


class Episodes(NamedTuple):
    """What each evaluation episode came to."""

    episode_return: Array  # [episodes] raw reward, undiscounted
    episode_length: Array  # [episodes] int32 steps


def evaluation_key(seed: Array, update: Array) -> Array:
    """The key for evaluating the run of `seed` after `update` updates; no training key's child."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(ROOT), seed), update)


def evaluate(
    key: Array,
    env: Environment,
    env_params: Any,
    network: Network,
    params: Params,
    *,
    episodes: int,
) -> dict[str, Episodes]:
    """Runs `episodes` episodes with greedy actions and as many with sampled ones, until the last
    has ended.

    Greedy is the mode of the policy; sampled is as in training. An episode that outlasts
    `environments.max_episode_steps` is counted with what it had by then. Consumes `key`.
    """
    keys = jax.random.split(key, 1 + 2 * episodes)
    key_run, acting = keys[0], rollout.start(keys[1:], env, env_params, network)
    policy = rollout.policy_shape(network, params, acting)
    limit = jnp.asarray(environments.max_episode_steps(env, env_params), jnp.int32)

    def choose(distribution: Distribution, noise: Any) -> Array:
        greedy, sampled = distribution.mode(), distribution.perturbed(noise)
        return jnp.concatenate([greedy[:episodes], sampled[episodes:]])

    def running(carry: tuple[Array, Acting, Episodes, Array]) -> Array:
        step, _, _, ended = carry
        return ~jnp.all(ended) & (step < limit)

    def step(carry: tuple[Array, Acting, Episodes, Array]) -> tuple:
        step, acting, scores, ended = carry
        key = jax.random.fold_in(key_run, step)
        chance = rollout.chances(key, env, env_params, policy)
        acting, transition = rollout.step(chance, env, env_params, network, params, acting, choose)
        scores = Episodes(
            jnp.where(ended, scores.episode_return, transition.episode_return),
            jnp.where(ended, scores.episode_length, transition.episode_length),
        )
        return step + 1, acting, scores, ended | transition.terminated | transition.truncated

    nothing = Episodes(acting.episode_return, acting.episode_length)
    begin = (jnp.zeros((), jnp.int32), acting, nothing, jnp.zeros(2 * episodes, bool))
    scores = jax.lax.while_loop(running, step, begin)[2]
    return {
        "greedy": jax.tree.map(lambda leaf: leaf[:episodes], scores),
        "sampled": jax.tree.map(lambda leaf: leaf[episodes:], scores),
    }
