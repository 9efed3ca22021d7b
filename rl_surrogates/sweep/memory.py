"""How much device memory does a work item need? Estimated from shapes, before any compilation.

    bytes of a lane = state + metrics of a chunk
        training     COPIES transitions + ACTIVATIONS N/M (units) 4 + PASSED K (convolution) 4
        evaluation   COPIES 2 episodes (environments) + FORWARD 2 episodes (units + convolution) 4

An item needs the first of all its lanes, and the larger of training, of the lanes that are trained
at a time (`grouping.group_size` per device), and of evaluation, of all lanes.

A program keeps the rollout several times: as it was acted, and as the batch that is judged and
learnt from. An evaluation keeps the environments of all its episodes, greedy and sampled, before
and after a step. K samples pass through a convolution at once, those of a minibatch or of a part
of the rollout. The factors were fitted to what XLA reports for compiled programs
(`Compiled.memory_analysis`); the estimate is meant to be right within a factor of two, to refuse
what cannot fit, and not to fill a device to its last byte.
"""

import os
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from rl_surrogates import loop, rollout, spaces
from rl_surrogates.config import Config
from rl_surrogates.grouping import group_size, lanes_at_once
from rl_surrogates.networks import CNN
from rl_surrogates.sweep.lanes import ROWS, Lanes
from rl_surrogates.sweep.plan import Plan, ceil_div
from rl_surrogates.training import Program
from rl_surrogates.types import Acting, Array, State

COPIES, ACTIVATIONS, FORWARD, PASSED = 3, 6, 0.25, 2
METRICS = 40  # numbers recorded per update, at most
KEY_BYTES = 8


class LaneBytes(NamedTuple):
    """What one lane needs."""

    kept: int  # from one chunk to the next
    training: int  # while it is trained
    evaluation: int  # while it is evaluated


_KNOWN: dict[str, LaneBytes] = {}  # by program: a plan is shown and then checked


def item_bytes(plan: Plan) -> int:
    """What a work item of the plan's largest program needs, on the devices of this process."""
    largest = max(plan.programs, key=lambda program: program.width * _samples(program.config))
    if largest.digest not in _KNOWN:
        _KNOWN[largest.digest] = lane_bytes(Lanes(largest))
    lane, width, devices = _KNOWN[largest.digest], largest.width, jax.local_device_count()
    of_device = ceil_div(width, devices)
    trained = devices * group_size(of_device, lanes_at_once(largest.config.num_envs))
    return width * lane.kept + max(trained * lane.training, width * lane.evaluation)


def lane_bytes(lanes: Lanes) -> LaneBytes:
    """What one lane of a program needs."""
    config, program = lanes.config, lanes.program
    hypers = jax.tree.map(lambda leaf: leaf[0], lanes.hypers([config]))
    key = jax.random.key(0)
    state = jax.eval_shape(program.init, key, hypers)
    transitions = jax.eval_shape(program.collect, key, state, hypers)[1]
    units = 4 * sum(config.network.hidden)
    num_samples = config.num_envs * config.num_steps
    samples = num_samples // getattr(config.ascent, "num_minibatches", 1)
    convolution = 4 * _convolution(config, transitions.observation)
    training = COPIES * _size(transitions) + ACTIVATIONS * samples * units
    at_once = max(samples, num_samples // loop.num_parts(config.num_steps, num_samples))
    training += PASSED * at_once * convolution
    episodes = 2 * config.evaluation.episodes
    acting = jax.eval_shape(partial(_start, program, episodes), key, state, hypers)
    evaluation = COPIES * _size(acting) + FORWARD * episodes * (units + convolution)
    return LaneBytes(_size(state) + METRICS * ROWS * 4, int(training), int(evaluation))


def available() -> int | None:
    """Bytes that the devices of this process have together; None where they do not say."""
    limits = [(device.memory_stats() or {}).get("bytes_limit") for device in jax.local_devices()]
    if all(limits):
        return sum(limits)
    if jax.default_backend() == "cpu" and hasattr(os, "sysconf"):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _start(program: Program, episodes: int, key: Array, state: State, hypers: Any) -> Acting:
    network = program.acting_network(state.actor)
    keys = jax.random.split(key, episodes)
    return rollout.start(keys, program.env, program.env_params(hypers), network)


def _convolution(config: Config, observation: Any) -> int:
    """Numbers per sample of the largest convolution; 0 where there is none."""
    if config.network.torso != "cnn":
        return 0
    (leaf,) = jax.tree.leaves(spaces.split_mask(observation)[0])
    return CNN.largest_layer(leaf.shape[2:], config.network.channels)


def _samples(config: Config) -> int:
    samples = max(config.num_envs * config.num_steps, 2 * config.evaluation.episodes)
    return samples * (1 + sum(config.network.hidden))


def _size(tree: Any) -> int:
    def of(leaf: Any) -> int:
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return int(np.prod(leaf.shape)) * (KEY_BYTES if is_key else leaf.dtype.itemsize)

    return sum(of(leaf) for leaf in jax.tree.leaves(tree))
