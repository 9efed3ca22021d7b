"""The variant that ignores time limits differs from training where it should, and only there."""

import jax
import numpy as np
import pytest

from benchmarks.truncation_cost import Ignoring
from rl_surrogates import make_program
from rl_surrogates.config import Config
from tests.probes import MATCH, Probe, ProbeParams


def judged(kind, limit):
    """The batch `[T, B]` of a rollout in episodes of three steps."""
    env = Probe(ProbeParams(kind=MATCH, length=3, limit=limit))
    config = Config(
        network={"hidden": [4]},
        num_envs=2,
        num_steps=8,
        advantage={"standardise": "none"},
    )
    program = make_program(config, env=env)
    program = program if kind is None else kind(**vars(program))
    hypers = config.hypers()

    @jax.jit
    def run(key):
        state = program.init(key, hypers)
        _, transitions = program.collect(key, state, hypers)
        return program.judge(state, transitions, hypers)

    return run(jax.random.key(0))


@pytest.mark.parametrize("limit, same", [(0, True), (1, False)], ids=["deaths", "time limits"])
def test_the_variant_is_the_training_where_nothing_is_cut_short(limit, same):
    true, variant = judged(None, limit), judged(Ignoring, limit)
    np.testing.assert_allclose(true.value_old, variant.value_old, rtol=1e-6)
    assert np.allclose(true.value_target, variant.value_target, rtol=1e-5, atol=1e-6) == same
    if not same:
        gone = np.asarray(true.value_target - variant.value_target).reshape(8, 2)
        # In the last step of an episode what is left out is all of the bootstrap; the last two
        # steps of the rollout belong to one that is still going on.
        assert (np.abs(gone[[2, 5]]) > 1e-4).all() and np.allclose(gone[6:], 0.0, atol=1e-6)
