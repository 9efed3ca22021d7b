"""Weighted likelihoods on the benchmark that everyone knows."""

import jax
import numpy as np
import pytest

from rl_surrogates import evaluation, make_program
from rl_surrogates.config import Config


@pytest.mark.slow
@pytest.mark.parametrize("name, learning_rate", [("vmpo", 2e-3), ("reps", 3e-3)])
def test_cartpole_is_solved_in_100_000_steps(name, learning_rate):
    config = Config(
        num_envs=8,
        num_steps=64,
        total_timesteps=100_000,
        objective={"name": "policy_gradient"},
        ascent={"name": name, "learning_rate": learning_rate},
        advantage={"standardise": "batch"},
    )
    program, hypers = make_program(config), config.hypers()

    def score(seed):
        state, metrics = program.train(jax.random.key(seed), hypers)
        scores = evaluation.evaluate(
            evaluation.evaluation_key(seed, config.num_updates),
            program.env,
            program.env_params(hypers),
            program.network,
            state.learner.params,
            episodes=16,
        )
        return scores["greedy"].episode_return.mean(), metrics["finite"].all()

    returns, finite = jax.jit(jax.vmap(score))(np.arange(10))
    assert bool(finite.all())
    assert float(np.median(returns)) >= 475, np.sort(returns)
