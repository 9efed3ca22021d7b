"""Objectives x settings x seeds: how often is a sweep compiled?"""

import jax
import pytest

from rl_surrogates.config import make_question
from rl_surrogates.sweep import make_plan, run_sweep

OBJECTIVES = (
    "importance_sampled ppo_clip dual_clip kl_penalty k2_penalty k3_penalty spo cispo sapo "
    "chi_square_penalty hellinger_penalty policy_gradient"
).split()


def ask():
    constants = {
        "env.name": "CartPole-v1",
        "network.hidden": [2],
        "num_envs": 1,
        "num_steps": 4,
        "total_timesteps": 8,
        "ascent.num_epochs": 1,
        "ascent.num_minibatches": 1,
        "evaluation.episodes": 1,
    }
    rates = [1e-4 * 2**i for i in range(8)]
    return make_question(
        {
            "name": "wide",
            "parameters": {path: {"value": value} for path, value in constants.items()}
            | {
                "objective.name": {"values": OBJECTIVES},
                "ascent.learning_rate": {"values": rates},
            },
            "seeds": {"count": 16},
        }
    )


@pytest.mark.slow
def test_twelve_objectives_eight_settings_and_sixteen_seeds_compile_once(tmp_path, caplog):
    plan = make_plan(ask(), 1)
    assert len(plan.programs) == 1 and len(plan.programs[0].objectives) == 12
    assert len(plan.runs) == 12 * 8 * 16 == 1536
    with jax.log_compiles(), caplog.at_level("WARNING"):
        found = run_sweep(ask(), out=tmp_path)
    compiled = [text for text in caplog.messages if text.startswith("Finished XLA compilation")]
    for function in ("_start", "advance", "_episodes"):
        assert sum(f"jit({function})" in text for text in compiled) == 1, compiled
    assert set(found.runs()["status"]) == {"done"} and len(found.runs()) == 1536
    assert found.runs()["item"].nunique() == 12  # of 128 lanes each, all of one compilation
