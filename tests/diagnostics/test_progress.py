"""Numbers for the reader, worked by hand."""

import jax.numpy as jnp
import pytest

from rl_surrogates import diagnostics
from rl_surrogates.types import Transition


@pytest.mark.parametrize(
    "value, target, expected",
    [
        ([1, 2, 3, 4, 5, 0, 0, 0, 0, 0], [2, 3, 4, 5, 6, 0, 0, 0, 0, 0], 0.95),
        ([2, 3, 4, 5, 6, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 0, 0, 0, 0, 0], 0.923076923),
        ([1, 2, 3, 4, 5], [2, 3, 4, 5, 6], 1.0),
        ([1.5, 1.5, 3.5, 3.5], [1, 2, 3, 4], 0.8),
        ([0, 0], [1, -1], 0.0),
        ([-1, 1], [1, -1], -3.0),  # Var(2, -2) = 4 against 1
    ],
)
def test_explained_variance(value, target, expected):
    found = diagnostics.explained_variance(
        jnp.array(value, jnp.float32), jnp.array(target, jnp.float32)
    )
    assert float(found) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_constant_target_has_no_variance_to_explain():
    assert jnp.isnan(diagnostics.explained_variance(jnp.arange(3.0), jnp.ones(3)))


def transitions(terminated, truncated, returns, lengths):
    empty = dict.fromkeys(Transition._fields)
    return Transition(
        **{
            **empty,
            "terminated": jnp.array(terminated, bool),
            "truncated": jnp.array(truncated, bool),
            "episode_return": jnp.array(returns, jnp.float32),
            "episode_length": jnp.array(lengths, jnp.int32),
        }
    )


def test_only_episodes_that_ended_count_whichever_way_they_ended():
    steps = transitions([[0, 1], [0, 0]], [[0, 0], [1, 0]], [[-3, -7], [-5, -2]], [[1, 4], [2, 9]])
    found = diagnostics.episodes(steps)
    assert [float(found[name]) for name in ("episode_return", "episode_length", "episodes")] == [
        -6.0,
        3.0,
        2,
    ]


def test_where_no_episode_ended_there_is_no_return_yet():
    found = diagnostics.episodes(transitions([[0]], [[0]], [[-7]], [[1]]))
    assert jnp.isnan(found["episode_return"]) and jnp.isnan(found["episode_length"])
    assert int(found["episodes"]) == 0


def test_steps_are_whole_numbers_until_they_no_longer_fit():
    assert int(diagnostics.env_steps(jnp.int32(1_000_000), 2048, 1_000_000)) == 2_048_000_000
    long = diagnostics.env_steps(jnp.int32(3_000_000), 2048, 3_000_000)
    assert float(long) == pytest.approx(6_144_000_000, rel=1e-6)  # never a negative number


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf, -jnp.inf])
def test_one_number_that_is_not_finite_is_enough(bad):
    good = {"a": jnp.ones(3), "b": jnp.zeros((2, 2))}
    assert bool(diagnostics.all_finite(good))
    assert not bool(diagnostics.all_finite({**good, "b": good["b"].at[1, 0].set(bad)}))
