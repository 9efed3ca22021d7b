"""A training cut into pieces, of any lengths, is the same training to the last bit."""

import chex
import jax
import pytest

from rl_surrogates import make_program
from rl_surrogates.config import Config

UPDATES = 6


@pytest.fixture(scope="module")
def program():
    return make_program(
        Config(
            num_envs=2,
            num_steps=8,
            total_timesteps=16 * UPDATES,
            network={"hidden": [8]},
            ascent={"num_epochs": 2, "num_minibatches": 2, "learning_rate": 0.01},
        )
    )


@pytest.fixture(scope="module")
def advance(program):
    """`advance(state, hypers, count)` of one compilation that serves any count."""
    traced = chex.assert_max_traces(
        lambda state, hypers, count: program.advance(state, hypers, count, rows=UPDATES), n=1
    )
    return jax.jit(traced)


@pytest.fixture(scope="module")
def hypers(program):
    return program.config.hypers()


@pytest.fixture(scope="module")
def begin(program, hypers):
    return jax.jit(program.init)(jax.random.key(3), hypers)


def plain(state):
    """The state with its key as numbers, which can be compared."""
    return state._replace(key=jax.random.key_data(state.key))


def in_chunks(advance, state, hypers, counts):
    """The last state, and the metrics of all chunks one after the other."""
    parts = []
    for count in counts:
        state, metrics = advance(state, hypers, count)
        parts.append(jax.tree.map(lambda leaf, n=count: leaf[:n], metrics))
    joined = jax.tree.map(lambda *leaves: [x for leaf in leaves for x in leaf.tolist()], *parts)
    return plain(state), joined


@pytest.fixture(scope="module")
def whole(advance, begin, hypers):
    return in_chunks(advance, begin, hypers, [UPDATES])


@pytest.mark.parametrize("counts", [[1] * 6, [2, 4], [5, 1], [3, 0, 3]], ids=str)
def test_any_chunking_gives_the_same_bits(advance, begin, hypers, whole, counts):
    state, metrics = in_chunks(advance, begin, hypers, counts)
    chex.assert_trees_all_equal(state, whole[0])
    assert repr(metrics) == repr(whole[1])  # NaN is equal to NaN here


def test_one_scan_over_all_updates_gives_the_same_bits(program, whole, hypers):
    state, metrics = jax.jit(program.train)(jax.random.key(3), hypers)
    chex.assert_trees_all_equal(plain(state), whole[0])
    assert repr(jax.tree.map(lambda leaf: leaf.tolist(), metrics)) == repr(whole[1])


def test_rows_beyond_the_updates_stay_empty(advance, begin, hypers):
    _, metrics = advance(begin, hypers, 2)
    assert metrics["env_steps"].tolist() == [16, 32, 0, 0, 0, 0]


def test_the_ratio_is_one_at_the_first_minibatch_of_every_update(whole):
    assert max(whole[1]["first_ratio_error"]) <= 1e-5
    assert min(whole[1]["approx_kl"]) > 1e-9  # and does not stay there


def test_the_metrics_take_the_same_memory_however_long_the_training_is(program):
    def size(total_timesteps):
        config = program.config.model_copy(update={"total_timesteps": total_timesteps})
        longer = make_program(config)
        hypers = config.hypers()
        state = jax.eval_shape(longer.init, jax.random.key(0), hypers)
        _, metrics = jax.eval_shape(
            lambda s, h, n: longer.advance(s, h, n, rows=UPDATES), state, hypers, 1
        )
        held = jax.tree.leaves((state.acting, state.learner, metrics))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in held)

    assert size(16 * UPDATES) == size(16_000_000)
