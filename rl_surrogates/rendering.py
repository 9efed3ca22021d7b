"""What does a policy do? One episode of it, as a GIF."""

import os
from typing import Any

import jax

from rl_surrogates import assembly, environments, rollout
from rl_surrogates.policy import Policy
from rl_surrogates.types import Acting, Array, Distribution, Transition

STEPS = 200  # about as many as one likes to watch; a frame takes some 50 ms to draw


def render(
    policy: Policy,
    path: str | os.PathLike,
    key: Array,
    *,
    greedy: bool = True,
    max_steps: int = STEPS,
    env: Any = None,
) -> float:
    """Plays the first `max_steps` steps of an episode and draws them; returns what they paid.

    Args:
      policy: what `load_policy` gave.
      path: of the GIF.
      key: decides where the episode begins, and what is random in it; consumed.
      greedy: whether the most probable action is done, or one that is drawn.
      max_steps: frames at most, >= 1.
      env: the environment that the policy was trained in, where that was an object and not a name.

    Raises:
      ValueError: an environment that gymnax does not draw, a package that is not installed, or no
        step at all.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps: {max_steps} leaves nothing to draw; use at least 1")
    env, params = assembly.make_environment(policy.config, env)
    environments.check_drawable(env)
    key_start, key_run = jax.random.split(key)
    network = policy.network

    def choose(distribution: Distribution, noise: Any) -> Array:
        return distribution.mode() if greedy else distribution.perturbed(noise)

    @jax.jit
    def step(key: Array, acting: Acting) -> tuple[Acting, Transition]:
        shape = rollout.policy_shape(network, policy.actor.params, acting)
        chance = rollout.chances(key, env, params, shape)
        return rollout.step(chance, env, params, network, policy.actor.params, acting, choose)

    acting, states, returns = rollout.start(key_start[None], env, params, network), [], []
    for key in jax.random.split(key_run, max_steps):
        states.append(jax.tree.map(lambda leaf: leaf[0], acting.env_state))
        acting, transition = step(key, acting)
        returns.append(float(transition.episode_return[0]))
        if transition.terminated[0] | transition.truncated[0]:
            break
    environments.save_gif(path, env, params, states, returns)
    return returns[-1]
