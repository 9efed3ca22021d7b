"""Lanes in groups, one after the other: what all of them at once give, in the same order."""

import math
import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from rl_surrogates import Config, grouping, make_program, make_train
from rl_surrogates.grouping import group_size, in_groups, lanes_at_once
from rl_surrogates.sweep.spread import LANES, SHARED, over_lanes

LANES_OF_TEST = 6
CONFIG = Config(
    env={"name": "CartPole-v1"},
    network={"torso": "mlp", "hidden": [8]},
    num_envs=2,
    num_steps=8,
    total_timesteps=48,
    ascent={"name": "minibatch", "num_epochs": 2, "num_minibatches": 2},
)
close = partial(jax.tree.map, partial(np.testing.assert_allclose, atol=1e-5))


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
    """Whatever the tests before this one have asked for."""
    monkeypatch.setattr(jax, "local_device_count", lambda: 1)


@pytest.mark.parametrize(
    ("lanes", "at_once", "size"),
    [(64, 8, 8), (20, 8, 10), (13, 8, 13), (3, 8, 3), (8, 8, 8), (6, 1, 1), (5, None, 5)],
)
def test_a_group_has_at_least_so_many_lanes_and_leaves_no_rest(lanes, at_once, size):
    assert group_size(lanes, at_once) == size


@pytest.mark.parametrize(
    ("cores", "devices", "lanes"),
    [(4, 4, [32, 8, 1, 1]), (2, 1, [64, 16, 2, 1]), (1, 2, [32, 8, 1, 1])],
)
def test_a_core_steps_some_environments_together_of_few_lanes_or_of_one(
    cores, devices, lanes, monkeypatch
):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(grouping, "cores", lambda: cores)
    monkeypatch.setattr(jax, "local_device_count", lambda: devices)
    assert [lanes_at_once(num_envs) for num_envs in (1, 4, 32, 64)] == lanes


def test_an_accelerator_trains_all_its_lanes_at_once(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert lanes_at_once(4) is None


def moved(state, by, times):
    """Some state, one lane: all that matters is what came where."""
    other = by["b"] - times + jax.random.uniform(state["key"])
    return {"key": state["key"], "sum": state["sum"] + by["a"] * times}, other[None]


def arguments(lanes):
    numbers = jnp.arange(lanes, dtype=jnp.float32)
    keys = jax.random.split(jax.random.key(0), lanes)
    return {"key": keys, "sum": 10.0 * numbers}, {"a": numbers, "b": -numbers}, jnp.float32(3.0)


def same(found, expected):
    """The same numbers and keys."""
    (state, other), (state_, other_) = found, expected
    assert (state["key"] == state_["key"]).all()
    np.testing.assert_allclose(state["sum"], state_["sum"], rtol=1e-6)
    np.testing.assert_allclose(other, other_, rtol=1e-6)


@pytest.mark.parametrize("at_once", [None, 1, 2, 4])
@pytest.mark.parametrize(
    "axes",
    [
        (0, 0, None),
        (0, {"a": 0, "b": None}, None),
        (0, None, None),
        ({"key": None, "sum": 0}, 0, None),
        (None, 0, None),
    ],
    ids=["all", "part of an argument", "the state alone", "part of the state", "no state"],
)
def test_groups_give_what_all_lanes_at_once_give(axes, at_once):
    given = arguments(8)
    one = jax.tree.map(lambda leaf: leaf[0], given[:2])

    def chosen(axis, many, single):
        if isinstance(axis, dict):
            return {name: chosen(axis[name], many[name], single[name]) for name in axis}
        return single if axis is None else many

    given = [chosen(*three) for three in zip(axes[:2], given[:2], one, strict=True)] + [given[2]]
    grouped = jax.jit(jax.vmap(in_groups(moved, at_once), axes))
    same(grouped(*given), jax.vmap(moved, axes)(*given))


@pytest.mark.parametrize("at_once", [None, 1, 3, 6])
def test_so_do_groups_under_two_maps(at_once):
    """Seeds times coefficients, as in a notebook."""
    state, by, times = arguments(6)

    def twice(fn):
        inner = jax.vmap(fn, (0, None, None))
        return jax.jit(jax.vmap(inner, (None, 0, None)))

    same(twice(in_groups(moved, at_once))(state, by, times), twice(moved)(state, by, times))


def lanes_in_hand(at_once, *sizes, around=lambda mapped: mapped):
    """The lanes that are computed together, of so many and of so many around them."""
    mapped = in_groups(lambda state: (jnp.sin(state), ()), at_once)
    for _ in sizes:
        mapped = jax.vmap(mapped)
    program = jax.jit(around(mapped)).lower(jnp.zeros(sizes)).as_text()
    (shape,) = re.findall(r"stablehlo.sine .*tensor<([0-9x]+)xf32>", program)
    return math.prod(map(int, shape.split("x")))


@pytest.mark.parametrize(
    ("at_once", "sizes", "in_hand"),
    [(2, (6,), 2), (8, (6,), 6), (None, (6,), 6), (4, (4, 2), 4), (4, (4, 8), 4), (2, (3, 4), 2)],
)
def test_no_more_lanes_than_a_group_are_in_hand(at_once, sizes, in_hand):
    assert lanes_in_hand(at_once, *sizes) == in_hand


def test_lanes_that_may_be_spread_over_devices_stay_together(monkeypatch):
    """Unless they are a shard: then they are one device's."""
    monkeypatch.setattr(jax, "local_device_count", lambda: 2)
    assert lanes_in_hand(2, 6) == 6
    mesh = jax.make_mesh((1,), ("lanes",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("lanes")
    of_shard = partial(jax.shard_map, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    assert lanes_in_hand(2, 6, around=of_shard) == 2


def test_a_training_in_groups_is_the_same_training_however_it_is_cut(monkeypatch):
    """In one chunk or in two, bit by bit; beside all lanes at once, to rounding."""
    program, hypers = make_program(CONFIG), CONFIG.hypers()
    keys = jax.random.split(jax.random.key(0), LANES_OF_TEST)
    begun = jax.jit(jax.vmap(program.init, in_axes=(0, None)))(keys, hypers)
    many = jax.tree.map(lambda one: np.full(LANES_OF_TEST, one, np.float32), hypers)

    def trained(at_once, *chunks):
        monkeypatch.setattr(grouping, "lanes_at_once", lambda num_envs: at_once)
        advance = partial(program.advance, rows=3)
        fn, state = over_lanes(advance, (LANES, LANES, SHARED)), begun
        for count in chunks:
            state, metrics = fn(state, many, np.int32(count))
        return state.learner.params, metrics

    whole, cut = trained(2, 3), trained(2, 1, 2)
    jax.tree.map(np.testing.assert_array_equal, whole[0], cut[0])
    for name, rows in cut[1].items():
        np.testing.assert_array_equal(rows[:, :2], whole[1][name][:, 1:3])
    close(whole[0], trained(None, 3)[0])
    assert jnp.ptp(whole[1]["policy_loss"], axis=0).min() > 0.0  # the lanes are not one


def test_lanes_of_anyones_vmap_are_the_trainings_of_each(monkeypatch):
    monkeypatch.setattr(grouping, "lanes_at_once", lambda num_envs: 2)
    train, hypers = make_train(CONFIG), CONFIG.hypers()
    rates = hypers.ascent.learning_rate * jnp.array([0.5, 1.0, 2.0, 4.0])
    axes = jax.tree.map(lambda _: None, hypers)
    axes = axes._replace(ascent=axes.ascent._replace(learning_rate=0))
    own = hypers._replace(ascent=hypers.ascent._replace(learning_rate=rates))
    key = jax.random.key(0)
    state, metrics = jax.jit(jax.vmap(train, (None, axes)))(key, own)
    for lane, rate in enumerate(rates):
        one = hypers._replace(ascent=hypers.ascent._replace(learning_rate=rate))
        alone = jax.jit(train)(key, one)
        of_lane = jax.tree.map(lambda leaf, lane=lane: leaf[lane], (state.learner.params, metrics))
        close(of_lane, (alone[0].learner.params, alone[1]))
