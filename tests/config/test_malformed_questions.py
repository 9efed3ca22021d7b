"""Broken files of one question: every error at once, each at its line and column."""

import os
import time

import pytest

from rl_surrogates.config import ConfigError, load_question, make_question

BASE = "objective: {name: ppo_clip, epsilon: 0.1}\nnum_envs: 8\n"

# name: (text, [(line, column, field, part of the message)]): all problems, in order, and no others
MALFORMED = {
    # heading
    "unknown_key": ("nmae: x\n", [(1, 1, "nmae", "did you mean name?")]),
    "config_key": ("num_envs: 4\n", [(1, 1, "num_envs", "under parameters, as num_envs: {value")]),
    "config_section": ("ascent: {}\n", [(1, 1, "ascent", "write it under parameters")]),
    "method": ("method: gird\n", [(1, 9, "method", "unknown name 'gird'; did you mean grid?")]),
    "goal": ("metric: {goal: max}\n", [(1, 16, "metric.goal", "maximize, minimize")]),
    "metric": ("metric: {name: retrun}\n", [(1, 16, "metric.name", "unknown metric 'retrun'")]),
    "seeds_count": ("seeds: 16\n", [(1, 8, "seeds", "expected a mapping, got 16")]),
    "no_seeds": ("seeds: {count: 0}\n", [(1, 16, "seeds.count", ">= 1, got 0")]),
    "negative_seed": ("seeds: {start: -1}\n", [(1, 16, "seeds.start", ">= 0, got -1")]),
    "last_seed": (
        "seeds: {start: 2_000_000_000, count: 2_000_000_000}\n",
        [(1, 38, "seeds.count", "the last seed is beyond 2147483647")],
    ),
    "lanes": ("execution: {lanes: many}\n", [(1, 20, "execution.lanes", "expected auto or")]),
    "checkpoint": (
        "execution: {checkpoint_every: 0}\n",
        [(1, 31, "execution.checkpoint_every", ">= 1, got 0")],
    ),
    "name_number": ("name: 12\n", [(1, 7, "name", "expected text, got 12")]),
    "name_nothing": ("name:\n", [(1, 6, "name", "expected text, got nothing")]),
    "description_list": (
        "description: [a]\n",
        [(1, 14, "description", "expected text, got ['a']")],
    ),
    "samples_of_a_grid": ("num_samples: 4\n", [(1, 1, "num_samples", "a grid has no samples")]),
    "no_samples": ("method: sobol\n", [(1, 9, "num_samples", "required by method: sobol")]),
    "zero_samples": (
        "method: random\nnum_samples: 0\n",
        [(2, 14, "num_samples", ">= 1, got 0")],
    ),
    "parameters_list": ("parameters: [a]\n", [(1, 13, "parameters", "a mapping, got ['a']")]),
    # parameters
    "unknown_path": (
        "parameters:\n  ascent.num_epoch: {value: 4}\n",
        [(2, 3, "ascent.num_epoch", "did you mean ascent.num_epochs?")],
    ),
    "bare_field": (
        "parameters:\n  gamma: {values: [0.9]}\n",
        [(2, 3, "gamma", "did you mean advantage.gamma?")],
    ),
    "a_section": (
        "parameters:\n  evaluation: {value: {every: 4}}\n",
        [(2, 3, "evaluation", "name one of its fields; the fields are evaluation.episodes")],
    ),
    "nested": (
        "parameters:\n  ascent:\n    num_epochs: {values: [1]}\n",
        [(3, 5, "parameters.ascent.num_epochs", "unknown key")],
    ),
    "bare_value": ("parameters: {num_envs: 4}\n", [(1, 24, "parameters.num_envs", "{value: ...}")]),
    "bare_list": ("parameters: {num_envs: [4]}\n", [(1, 24, "parameters.num_envs", "{values: [")]),
    "empty_parameter": ("parameters: {num_envs: {}}\n", [(1, 24, "parameters.num_envs", "one of")]),
    "unknown_spec": (
        "parameters: {num_envs: {vals: [4]}}\n",
        [(1, 25, "parameters.num_envs.vals", "did you mean values?")],
    ),
    "value_and_values": (
        "parameters: {num_envs: {value: 4, values: [4]}}\n",
        [(1, 24, "parameters.num_envs", "expected one of: value; values; min and max")],
    ),
    "half_a_range": (
        "parameters: {num_envs: {min: 4}}\n",
        [(1, 24, "parameters.num_envs", "one of")],
    ),
    "values_no_list": (
        "parameters: {num_envs: {values: 4}}\n",
        [(1, 33, "parameters.num_envs.values", "expected a list, got 4")],
    ),
    "empty_list": (
        "parameters:\n  num_envs: {values: []}\n",
        [(2, 22, "parameters.num_envs.values", "at least one value")],
    ),
    "duplicate_value": (
        "parameters:\n  num_envs:\n    values:\n      - 4\n      - 8\n      - 4\n",
        [(6, 9, "num_envs", "duplicate value 4, first given in line 4")],
    ),
    "duplicate_number": (
        "parameters: {ent_coef: {values: [1, 1.0]}}\n",
        [(1, 37, "ent_coef", "duplicate value 1.0")],
    ),
    "mapping_value": (
        "parameters: {num_envs: {values: [4, {a: 1}]}}\n",
        [(1, 37, "num_envs", "a single value, got {'a': 1}")],
    ),
    "wrong_value": (
        "parameters:\n  advantage.gamma: {values: [0.9, 1.1]}\n  num_envs: {values: [4, 4.0]}\n",
        [(2, 35, "advantage.gamma", "<= 1, got 1.1"), (3, 26, "num_envs", "got 4.0; write 4")],
    ),
    "wrong_constant": (
        "parameters: {num_envs: {value: -4}}\n",
        [(1, 32, "num_envs", ">= 1, got -4")],
    ),
    "wrong_item": (
        "parameters:\n  network.hidden: {values: [[64], [64, 0]]}\n",
        [(2, 35, "network.hidden.1", ">= 1, got 0")],
    ),
    "environment": (
        "parameters: {env.name: {values: [CartPole-v1, CartPole-v2]}}\n",
        [(1, 47, "env.name", "did you mean CartPole-v1?")],
    ),
    "objective": (
        "parameters: {objective.name: {values: [spo, sop]}}\n",
        [(1, 45, "objective.name", "objective 'sop' does not exist")],
    ),
    "coefficient": (
        "parameters:\n  objective.name: {values: [spo, kl_penalty]}\n"
        "  objective.bta: {values: [1]}\n",
        [(3, 3, "objective.bta", "none of spo, kl_penalty has it; did you mean beta?")],
    ),
    "coefficient_of_the_base": (
        "base: [base.yaml]\nparameters:\n  objective.name: {values: [policy_gradient]}\n",
        [("base.yaml", 1, 29, "objective.epsilon", "none of policy_gradient has it")],
    ),
    "coefficient_range": (
        "parameters:\n"
        "  objective.name: {values: [policy_gradient, ppo_clip]}\n"
        "  objective.epsilon: {values: [0.1, 2]}\n",
        [(3, 37, "objective.epsilon", "outside (0, 1)")],
    ),
    "key_of_no_variant": (
        "parameters:\n"
        "  value_loss.name: {values: [squared_error]}\n"
        "  value_loss.epsilon: {value: 0.1}\n",
        [(3, 3, "value_loss.epsilon", "none of squared_error has it")],
    ),
    "missing_key": (
        "parameters:\n  adaptation.name: {values: [fixed, adaptive_kl]}\n"
        "  adaptation.target: {value: 0.1}\n",
        [(2, 37, "adaptation.coefficient", "required")],
    ),
    "indivisible": (
        "parameters:\n  num_envs: {values: [4, 8]}\n  ascent.num_minibatches: {values: [4, 5]}\n",
        [(3, 40, "ascent.num_minibatches", "5 does not divide num_envs * num_steps = 512")],
    ),
    "indivisible_in_one_corner": (
        "parameters:\n  num_envs: {values: [4, 6]}\n  num_steps: {values: [8, 9]}\n"
        "  ascent.num_minibatches: {values: [4, 16]}\n",
        [
            (4, 37, "ascent.num_minibatches", "4 does not divide num_envs * num_steps = 54"),
            (4, 40, "ascent.num_minibatches", "16 does not divide num_envs * num_steps = 36"),
        ],
    ),
    # ranges
    "range_in_a_grid": (
        "parameters:\n  ent_coef: {min: 0, max: 1}\n",
        [(2, 3, "parameters.ent_coef", "needs method: random or sobol")],
    ),
    "empty_range": (
        "method: random\nnum_samples: 4\nparameters: {ent_coef: {min: 1, max: 1}}\n",
        [(3, 38, "parameters.ent_coef.max", "max > min = 1, got 1")],
    ),
    "log_of_zero": (
        "method: random\nnum_samples: 4\n"
        "parameters: {ent_coef: {min: 0, max: 1, distribution: log_uniform_values}}\n",
        [(3, 30, "parameters.ent_coef.min", "> 0 for log_uniform_values, got 0")],
    ),
    "fractions_of_integers": (
        "method: random\nnum_samples: 4\nparameters: {num_envs: {min: 1.5, max: 4}}\n",
        [(3, 30, "parameters.num_envs", "whole number for int_uniform, got 1.5")],
    ),
    "distribution": (
        "method: random\nnum_samples: 4\n"
        "parameters: {ent_coef: {min: 0, max: 1, distribution: log_uniform}}\n",
        [(3, 55, "parameters.ent_coef.distribution", "did you mean log_uniform_values?")],
    ),
    "distribution_of_values": (
        "parameters: {ent_coef: {values: [0], distribution: uniform}}\n",
        [(1, 38, "parameters.ent_coef.distribution", "only a range")],
    ),
    "range_of_nothing": (
        "method: random\nnum_samples: 4\nparameters: {ent_coef: {min: , max: .inf}}\n",
        [
            (3, 29, "parameters.ent_coef.min", "a number, got nothing"),
            (3, 37, "parameters.ent_coef.max", "a finite number"),
        ],
    ),
    "range_too_wide": (
        "method: random\nnum_samples: 64\nparameters: {advantage.gamma: {min: 0.9, max: 1.1}}\n",
        [(3, 47, "advantage.gamma", "<= 1, got 1.1")],
    ),
    "range_of_names": (
        "method: random\nnum_samples: 4\nparameters: {env.name: {min: 0, max: 1}}\n",
        [(3, 30, "env.name", "expected text"), (3, 38, "env.name", "expected text")],
    ),
    # zip
    "zip_of_unequal_lengths": (
        "parameters:\n  num_envs: {values: [4, 8]}\n  num_steps: {values: [128]}\n"
        "zip: [[num_envs, num_steps]]\n",
        [(4, 7, "zip.0", "equally long: num_envs has 2, num_steps has 1")],
    ),
    "zip_of_unknown": (
        "parameters: {num_envs: {values: [4, 8]}}\nzip: [[num_envs, num_step]]\n",
        [(2, 18, "zip.0", "'num_step' is not an axis; did you mean num_envs?")],
    ),
    "zip_of_a_constant": (
        "parameters: {num_envs: {values: [4]}, num_steps: {value: 4}}\n"
        "zip: [[num_envs, num_steps]]\n",
        [(2, 18, "zip.0", "'num_steps' is not an axis")],
    ),
    "zip_of_one": (
        "parameters: {num_envs: {values: [4, 8]}}\nzip: [[num_envs]]\n",
        [(2, 7, "zip.0", "at least two paths")],
    ),
    "zip_twice": (
        "parameters:\n  num_envs: {values: [4]}\n  num_steps: {values: [128]}\n"
        "zip: [[num_envs, num_steps], [num_steps, num_envs]]\n",
        [(4, 31, "zip.1", "zipped twice"), (4, 42, "zip.1", "zipped twice")],
    ),
    "zip_of_a_range": (
        "method: random\nnum_samples: 4\n"
        "parameters: {ent_coef: {min: 0, max: 1}, num_envs: {values: [4, 8]}}\n"
        "zip: [[ent_coef, num_envs]]\n",
        [(4, 8, "zip.0", "ent_coef is a range")],
    ),
    "zip_of_equal_pairs": (
        "parameters:\n  num_envs: {values: [4, 4]}\n  num_steps: {values: [128, 128]}\n"
        "zip: [[num_envs, num_steps]]\n",
        [(2, 26, "num_envs and num_steps", "duplicate value 4, 128")],
    ),
    "zip_flat": (
        "parameters: {num_envs: {values: [4]}}\nzip: [num_envs]\n",
        [(2, 7, "zip.0", "expected a list, got 'num_envs'")],
    ),
    # together
    "all_at_once": (
        "name: ../up\n"
        "base: [base.yaml, nope.yaml]\n"
        "metric: {name: evaluation/return, goal: best}\n"
        "parameters:\n"
        "  num_envs: {values: [4, x]}\n"
        "  num_step: {value: 4}\n"
        "  ascent.num_minibatches: {value: 5}\n"
        "  objective.name: {values: [ppo_clip, ppo_clup]}\n"
        "  ent_coef: {values: []}\n"
        "seeds: {count: -1}\n"
        "zip: [[num_envs, ent_coef], [num_envs, num_step]]\n",
        [
            (1, 7, "name", "cannot name a results folder"),
            (2, 19, "base", "nope.yaml is not a file"),
            (3, 41, "metric.goal", "maximize, minimize"),
            (5, 26, "num_envs", "got 'x'"),
            (6, 3, "num_step", "did you mean num_steps?"),
            (7, 35, "ascent.num_minibatches", "5 does not divide num_envs * num_steps = 512"),
            (8, 39, "objective.name", "'ppo_clup' does not exist"),
            (9, 22, "parameters.ent_coef.values", "at least one value"),
            (10, 16, "seeds.count", ">= 1, got -1"),
        ],
    ),
}

NAMES = ["../x", "/etc/x", "a/b", "a\\b", "a\0b", "CON", "nul.txt", "com1", ".x", "", "x" * 300]
NAMES += ["n\u0430me", "a b", "a\n", "name;rm", "x\u202ey", "-".join("ab") + "\u00e9"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def problems_of(*args):
    with pytest.raises(ConfigError) as caught:
        load_question(*args)
    return caught.value.problems


@pytest.mark.parametrize("name", MALFORMED)
def test_every_error_of_a_question_is_reported_where_it_stands(name, folder):
    text, expected = MALFORMED[name]
    (folder / "mine.yaml").write_text(text)
    started = time.perf_counter()
    found = problems_of("mine.yaml")
    assert time.perf_counter() - started < 3.0
    places = [place[:-1] if len(place) == 5 else ("mine.yaml", *place[:-1]) for place in expected]
    assert [problem[:4] for problem in found] == places
    for problem, (*_, part) in zip(found, expected, strict=True):
        assert part in problem.message
    assert sorted(os.listdir()) == ["base.yaml", "mine.yaml"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_safe_folder_is_refused(name):
    with pytest.raises(ConfigError, match="name: "):
        make_question({"name": name})


def test_wrong_overrides_of_a_question_are_located(folder):
    (folder / "mine.yaml").write_text("parameters:\n  num_envs: {values: [4, 8]}\n")
    overrides = ["seeds.count=0", "ascent.num_epoch=4", "objective=spo", "num_envs=-1"]
    found = problems_of("mine.yaml", [*overrides, "parameters.num_envs=4", "seeds.cuont=1"])
    assert [(problem.file, problem.column, problem.field) for problem in found] == [
        ("<override 1>", 13, "seeds.count"),
        ("<override 2>", 1, "ascent.num_epoch"),
        ("<override 3>", 1, "objective"),
        ("<override 4>", 10, "num_envs"),
        ("<override 5>", 1, "parameters.num_envs"),
        ("<override 6>", 1, "seeds.cuont"),
    ]


def test_an_override_that_breaks_a_swept_setting_is_where_the_error_points(folder):
    (folder / "mine.yaml").write_text("parameters:\n  num_envs: {values: [4, 8]}\n")
    (problem,) = problems_of("mine.yaml", ["ascent.num_minibatches=5"])
    assert problem[:4] == ("<override 1>", 1, 24, "ascent.num_minibatches")
