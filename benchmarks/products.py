"""The machine's own limit: the matrix products of training, and nothing else.

    products        those of one minibatch after another, batched over the lanes, on one device
    products_sweep  the same, lanes spread over every core
    square          a product of two large square matrices

A minibatch is what a linear network of the same shapes takes: forward, then for every layer the
gradient in its weights and in its inputs, and a step so small that only the compiler believes in it
(one addition per weight, which keeps the products from being moved out of the loop). Observations
have no gradient. Both networks, policy and value function, as in training.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import work
from benchmarks.compiled import Ready, compile_, held_bytes
from benchmarks.work import Spec
from rl_surrogates.grouping import in_groups, lanes_at_once
from rl_surrogates.sweep import use_every_core
from rl_surrogates.sweep.spread import LANES, over_lanes

SQUARE = 2048
TINY = 1e-12  # length of a step


def products(spec: Spec) -> Ready:
    """On one device."""
    return _products(spec, lambda fn: jax.jit(jax.vmap(fn)))


def products_swept(spec: Spec) -> Ready:
    """Lanes spread over every core."""
    use_every_core()
    at_once = lanes_at_once(spec.sizes().num_envs)
    return _products(spec, lambda fn: over_lanes(in_groups(fn, at_once), (LANES,)))


def square(spec: Spec) -> Ready:
    """A large square product, `steps` times."""
    count, keys = spec.steps, jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (SQUARE, SQUARE)) / SQUARE**0.5 for key in keys)
    jitted = jax.jit(lambda a, b: jax.lax.fori_loop(0, count, lambda _, x: x @ b, a))
    program, seconds = compile_(jitted, a, b)
    facts = {"flops": 2 * SQUARE**3 * count}
    run = partial(_wait, program, a, b)
    return Ready(run, 0, seconds, held_bytes(program), facts)


CONTENDERS = {"products": products, "products_sweep": products_swept, "square": square}


def minibatch(nets: list[list[jax.Array]], observation: jax.Array) -> list[list[jax.Array]]:
    """The weights of both networks after one minibatch."""
    return [_step(net, observation) for net in nets]


def _step(net: list[jax.Array], x: jax.Array) -> list[jax.Array]:
    inputs = []
    for weight in net:
        inputs.append(x)
        x = x @ weight
    stepped = []
    for index in reversed(range(len(net))):
        stepped.append(net[index] - TINY * inputs[index].T @ x)
        x = x @ net[index].T if index else x
    return stepped[::-1]


def _products(spec: Spec, over: Callable) -> Ready:
    sizes = spec.sizes()
    parts = sizes.num_epochs * sizes.num_minibatches * spec.updates()

    def begin(key: jax.Array) -> Any:
        shapes = [work.layers(sizes, sizes.actions), work.layers(sizes, 1)]
        nets = [[jax.random.normal(key, s) / s[0] ** 0.5 for s in net] for net in shapes]
        batch = (sizes.num_minibatches, sizes.samples // sizes.num_minibatches)
        return nets, jax.random.normal(key, (*batch, sizes.observation))

    def all_parts(given: Any) -> Any:
        nets, batch = given

        def once(index: jax.Array, nets: Any) -> Any:
            return minibatch(nets, batch[index % batch.shape[0]])

        return (jax.lax.fori_loop(0, jnp.asarray(parts), once, nets), batch), ()

    given = jax.jit(jax.vmap(begin))(jax.random.split(jax.random.key(0), spec.lanes))
    program, seconds = compile_(over(all_parts), given)
    given = jax.device_put(given, program.input_shardings[0][0])
    facts = {"flops": spec.lanes * spec.updates() * work.ascent_flops(sizes)}
    return Ready(partial(_wait, program, given), 0, seconds, held_bytes(program), facts)


def _wait(program: Any, *arguments: Any) -> Any:
    return jax.block_until_ready(program(*arguments))
