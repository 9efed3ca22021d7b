"""Minibatches and a trust region in one question: other programs, one report."""

import numpy as np
import pytest

from rl_surrogates import report
from rl_surrogates.config import Config, ConfigError, load_config
from rl_surrogates.sweep import make_plan, run_sweep

NAMES = ["minibatch", "trust_region", "natural_gradient"]
ONLY_MINIBATCH = ("num_epochs", "num_minibatches", "max_grad_norm", "learning_rate", "anneal")
TRUST_REGION = {
    "ascent__critic_epochs": 2,
    "ascent__critic_minibatches": 2,
    "ascent__cg_iterations": 4,
    "ascent__max_backtracks": 6,
}


def test_each_ascent_is_a_program_and_its_traced_numbers_are_not(ask):
    axes = {
        "ascent.name": NAMES,
        "ascent.max_kl": [0.003, 0.01],
        "ascent.damping": [0.01, 0.1],
        "ascent.backtrack": [0.5, 0.8],
        "ascent.critic_learning_rate": [1e-3, 3e-3],
        "objective.name": ["ppo_clip", "importance_sampled"],
    }
    plan = make_plan(ask(axes, **TRUST_REGION))
    assert [p.config.ascent.name for p in plan.programs] == NAMES
    settings = [len(program.runs) // 2 for program in plan.programs]  # two seeds each
    assert settings == [2, 2 * 2**4, 2 * 2**3]  # what an ascent does not have is no axis of it
    assert all(set(p.objectives) == {"ppo_clip", "importance_sampled"} for p in plan.programs)


def test_an_ascent_keeps_no_key_of_another(ask):
    settings = make_plan(ask({"ascent.name": NAMES}, **TRUST_REGION)).settings
    keys = {s.config.ascent.name: set(type(s.config.ascent).model_fields) for s in settings}
    assert not keys["trust_region"] & set(ONLY_MINIBATCH)
    assert keys["trust_region"] - keys["natural_gradient"] == {"backtrack", "max_backtracks"}
    assert [getattr(s.config.ascent, "critic_epochs", None) for s in settings] == [None, 2, 2]


@pytest.mark.parametrize(
    "axes", [{"ascent.name": NAMES, "ascent.max_kll": [0.1]}, {"ascent.max_kl": [0.1]}]
)
def test_a_key_that_no_chosen_ascent_has_is_refused(ask, axes):
    with pytest.raises(ConfigError, match="max_kl"):
        ask(axes, **(TRUST_REGION if "ascent.name" in axes else {})).settings()


TRPO = (
    "{name: trust_region, max_kl: 0.01, cg_iterations: 10, damping: 0.1, backtrack: 0.8, "
    "max_backtracks: 10, critic_epochs: 10, critic_learning_rate: 1.0e-3}"
)
NPG = "{name: natural_gradient, max_kl: 0.01, damping: 0.1}"


@pytest.mark.parametrize("line", [TRPO, NPG])
def test_one_line_of_yaml_makes_an_ascent_whose_numbers_are_traced(line, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(f"ascent: {line}\n", "utf-8")
    traced = set(load_config(path).hypers().ascent._fields)
    assert traced - {"backtrack"} == {"max_kl", "damping", "critic_learning_rate"}
    assert ("backtrack" in traced) == (line == TRPO)


def test_swept_numbers_of_a_trust_region_do_not_change_its_program():
    def static(**changes):
        return Config(ascent={"name": "trust_region", **changes}).static()

    numbers = {"max_kl": 0.5, "damping": 0.0, "backtrack": 0.3, "critic_learning_rate": 0.1}
    assert static() == static(**numbers)
    counts = "cg_iterations max_backtracks critic_epochs critic_minibatches fisher_every".split()
    assert all(static() != static(**{name: 8}) for name in counts)


@pytest.fixture(scope="module")
def answered(ask, tmp_path_factory):
    axes = {
        "ascent.name": NAMES[:2],
        "ascent.max_kl": [1e-3, 0.05],
        "objective.name": ["ppo_clip", "kl_penalty"],
    }
    return run_sweep(ask(axes, **TRUST_REGION), out=tmp_path_factory.mktemp("ascents"))


def test_both_ascents_are_in_one_set_of_tables(answered):
    runs, curves = answered.runs(), answered.curves()
    assert len(runs) == 2 * (2 + 2 * 2)
    assert set(runs["status"]) == {"done"}
    curves = curves.merge(runs[["run_id", "ascent.name", "ascent.max_kl"]], on="run_id")
    trust = curves[curves["ascent.name"] == "trust_region"]
    assert trust[["kl_after", "cg_residual", "predicted_improvement"]].notna().all(axis=None)
    assert curves[curves["ascent.name"] == "minibatch"]["kl_after"].isna().all()
    assert trust["accepted"].mean() > 0.8


def test_every_lane_obeys_its_own_bound(answered):
    runs, curves = answered.runs(), answered.curves()
    curves = curves.merge(runs[["run_id", "ascent.name", "ascent.max_kl"]], on="run_id")
    trust = curves[curves["ascent.name"] == "trust_region"]
    assert (trust["kl_after"] <= np.float32(trust["ascent.max_kl"])).all()
    means = trust[trust["accepted"] > 0].groupby("ascent.max_kl")["kl_after"].mean()
    assert means[0.05] > 5 * means[1e-3]


def test_they_are_compared_in_one_report(answered):
    text = report.write(answered.path).read_text("utf-8")
    assert "trust_region" in text and "minibatch" in text
