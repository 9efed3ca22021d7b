"""A policy's action on its way to the environment: scaled, clipped, never counted twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.spaces import Box, Discrete, MultiDiscrete, to_environment

INFINITE = float("inf")


@pytest.mark.parametrize(
    "box, action, expected",
    [
        (Box(-2.0, 2.0), [-1.0, 0.5, 1.0, 7.0], [-2.0, 1.0, 2.0, 2.0]),
        (Box(0.0, 10.0), [-1.0, 0.0, 0.2, -3.0], [0.0, 5.0, 6.0, 0.0]),  # 5 + 5 a
        (Box(-INFINITE, INFINITE), [-9.0, 0.5, 1e6, 0.0], [-9.0, 0.5, 1e6, 0.0]),
        (Box(0.0, INFINITE), [-9.0, 0.5, 1e6, 0.0], [0.0, 0.5, 1e6, 0.0]),  # clipped, not scaled
    ],
    ids=["symmetric", "positive", "unbounded", "half bounded"],
)
def test_the_whole_range_of_a_bounded_action_is_minus_one_to_one(box, action, expected):
    found = jax.jit(lambda a: to_environment(box, a))(jnp.array(action)[:, None])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_every_component_has_its_own_bounds_and_the_shape_is_that_of_the_environment():
    box = Box(np.array([[-1.0, 0.0]]), np.array([[1.0, 4.0]]), shape=(1, 2))
    found = to_environment(box, jnp.array([[0.5, 0.5], [2.0, -2.0]]))
    np.testing.assert_allclose(found, [[[0.5, 3.0]], [[1.0, 0.0]]])
    assert box.size == 2 and Box(-1.0, 1.0, ()).size == 1
    assert to_environment(Box(-1.0, 1.0, ()), jnp.zeros((5, 1))).shape == (5,)


def test_bounds_may_be_traced_and_infinite_ones_leave_finite_gradients():
    def handed(action, high):
        return to_environment(Box(-high, high), action).sum()

    slopes = jax.jit(jax.vmap(jax.grad(handed), (None, 0)))(
        jnp.array([0.5]), jnp.array([3.0, INFINITE])
    )
    np.testing.assert_allclose(slopes[:, 0], [3.0, 1.0])


@pytest.mark.parametrize("space", [Discrete(3), MultiDiscrete((3, 3))])
def test_a_choice_is_handed_on_as_it_is(space):
    action = jnp.array([[0, 2], [1, 1]])
    assert to_environment(space, action) is action
