"""Stable-Baselines3 as a contender: PPO, and TRPO from sb3-contrib, with torch on the CPU.

One learner; every run goes on where the last one stopped. It compiles nothing. Before the clock
starts, environments and networks are built, and torch is given the number of threads, one or one a
core, with which networks this small are faster. CartPole is gymnasium's, stepped in Python.
There is no MinAtar in gymnasium: Breakout is gymnax's, all environments in one compiled step per
call, which is the fastest that can be handed to it.

sb3-contrib's TRPO starts its conjugate gradients from noise and tests KL(new || old); here every
update also measures the policy on its whole batch and bootstraps time limits in one more pass.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnax
import jax
import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv
from torch import nn

from benchmarks.compiled import Ready
from benchmarks.work import Spec

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


class GymnaxVecEnv(VecEnv):
    """`num_envs` gymnax environments behind the interface of Stable-Baselines3."""

    def __init__(self, name: str, num_envs: int) -> None:
        """Compiles reset and step."""
        env, params = gymnax.make(name)
        shape = env.observation_space(params).shape
        seen = spaces.Box(0.0, 1.0, (int(np.prod(shape)),), np.float32)
        super().__init__(num_envs, seen, spaces.Discrete(int(env.action_space(params).n)))

        def reset(key: jax.Array) -> tuple:
            return jax.vmap(env.reset, in_axes=(0, None))(jax.random.split(key, num_envs), params)

        def step(key: jax.Array, state: Any, action: jax.Array) -> tuple:
            keys = jax.random.split(key, num_envs)
            return jax.vmap(env.step, in_axes=(0, 0, 0, None))(keys, state, action, params)

        self._reset, self._step = jax.jit(reset), jax.jit(step)
        self._key, self._count, self._action, self._state = jax.random.key(0), 0, None, None

    def _next_key(self) -> jax.Array:
        self._count += 1
        return jax.random.fold_in(self._key, self._count)

    def reset(self) -> np.ndarray:
        """All environments anew."""
        observation, self._state = self._reset(self._next_key())
        return self._flat(observation)

    def step_async(self, actions: np.ndarray) -> None:
        """Keeps the actions for `step_wait`."""
        self._action = actions

    def step_wait(self) -> tuple:
        """One step of every environment; gymnax has reset those that ended."""
        found = self._step(self._next_key(), self._state, self._action)
        observation, self._state, reward, terminated, truncated, info = found
        done = np.asarray(terminated | truncated)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            last = self._flat(info["final_observation"])
            for index in np.flatnonzero(done):
                infos[index] = {"terminal_observation": last[index]}
        return self._flat(observation), np.asarray(reward, np.float32), done, infos

    def _flat(self, observation: jax.Array) -> np.ndarray:
        return np.asarray(observation, np.float32).reshape(self.num_envs, -1)

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list:
        """Only what every environment of gymnasium has."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """There is nothing to set."""
        raise NotImplementedError(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list:
        """There is nothing to call."""
        raise NotImplementedError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No wrapper is one of gymnasium's."""
        return [False] * self.num_envs


def environments(spec: Spec) -> VecEnv:
    """The environments of a spec."""
    sizes = spec.sizes()
    if "MinAtar" in sizes.env:
        return GymnaxVecEnv(sizes.env, sizes.num_envs)
    return make_vec_env(sizes.env, n_envs=sizes.num_envs, seed=0)


def ppo(spec: Spec) -> Ready:
    """PPO with the sizes and settings of the spec."""
    epochs = spec.sizes().num_epochs
    return _ready(spec, PPO, n_epochs=epochs, clip_range_vf=0.2, ent_coef=0.01)


def trpo(spec: Spec) -> Ready:
    """TRPO with the sizes and settings of the spec."""
    epochs = spec.sizes().num_epochs
    solver = {"cg_max_steps": 10, "cg_damping": 1e-3}
    return _ready(spec, TRPO, n_critic_updates=epochs, gae_lambda=0.98, **solver)


CONTENDERS = {"sb3": ppo, "sb3_contrib": trpo}


def _networks(spec: Spec) -> dict[str, Any]:
    hidden = list(spec.sizes().hidden)
    nets = {"pi": hidden, "vf": hidden}
    return {"net_arch": nets, "activation_fn": ACTIVATIONS[spec.sizes().activation]}


def _ready(spec: Spec, kind: Callable, **settings: Any) -> Ready:
    sizes = spec.sizes()
    rollout = sizes.samples
    learner = kind(
        "MlpPolicy",
        environments(spec),
        n_steps=sizes.num_steps,
        batch_size=rollout // sizes.num_minibatches,
        learning_rate=sizes.learning_rate,
        policy_kwargs=_networks(spec),
        device="cpu",
        seed=0,
        **settings,
    )
    seconds = {n: _seconds(learner, rollout, n) for n in (torch.get_num_threads(), 1)}
    threads = min(seconds, key=seconds.get)
    torch.set_num_threads(threads)
    steps = spec.updates() * rollout
    run = partial(learner.learn, steps, reset_num_timesteps=False)
    return Ready(run, steps, facts={"threads": threads})


def _seconds(learner: Any, steps: int, threads: int) -> float:
    torch.set_num_threads(threads)
    start = time.perf_counter()
    learner.learn(steps, reset_num_timesteps=False)
    return time.perf_counter() - start
