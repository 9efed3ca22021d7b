"""The benchmark that everyone knows, after the probes."""

import jax
import numpy as np
import pytest

from rl_surrogates import evaluation, make_program
from rl_surrogates.config import Config


@pytest.mark.slow
def test_ppo_clip_solves_cartpole_in_150_000_steps():
    config = Config(
        num_envs=8,
        num_steps=32,
        total_timesteps=150_000,
        ascent={"num_epochs": 4, "num_minibatches": 4, "learning_rate": 5e-4},
    )
    program, hypers, seeds = make_program(config), config.hypers(), np.arange(10)

    def score(seed):
        state, metrics = program.train(jax.random.key(seed), hypers)
        key = evaluation.evaluation_key(seed, config.num_updates)
        env_params = program.env_params(hypers)
        scores = evaluation.evaluate(
            key, program.env, env_params, program.network, state.learner.params, episodes=32
        )
        return scores["greedy"].episode_return.mean(), metrics["first_ratio_error"].max()

    returns, errors = jax.jit(jax.vmap(score))(seeds)
    assert float(np.median(returns)) >= 475, np.sort(returns)
    assert float(errors.max()) <= 1e-5
