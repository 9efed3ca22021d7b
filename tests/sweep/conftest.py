"""A tiny question for every test here: one program, two settings, two seeds, two work items."""

import os

import pytest

from rl_surrogates.config import make_question
from tests.compiled import share_compilations

TINY = {
    "env.name": "CartPole-v1",
    "network.hidden": [4],
    "num_envs": 2,
    "num_steps": 8,
    "total_timesteps": 96,
    "ascent.num_epochs": 2,
    "ascent.num_minibatches": 2,
    "evaluation.episodes": 2,
}


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory):
    share_compilations(tmp_path_factory, os.environ.get("PYTEST_XDIST_WORKER", "master"))


@pytest.fixture(scope="session")
def ask():
    """`ask(axes, path=value...)`: the tiny question with other axes, or other constants."""

    def ask(axes=None, **constants):
        axes = {"objective.name": ["ppo_clip", "policy_gradient"]} if axes is None else axes
        values = {**TINY, **{path.replace("__", "."): v for path, v in constants.items()}}
        parameters = {path: {"value": value} for path, value in values.items()}
        return make_question(
            {
                "name": "tiny",
                "parameters": parameters | {path: {"values": v} for path, v in axes.items()},
                "seeds": {"count": 2},
                "execution": {"lanes": 2},
            }
        )

    return ask
