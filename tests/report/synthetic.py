"""Plausible results of a small question, written through the store, without any training.

Shaped like `configs/why_the_ratio`: objectives x epochs x learning rates x seeds. The figures are
made up, after the trial that the project's first issue reports.
"""

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd

from rl_surrogates.store import Store

OBJECTIVES = ("policy_gradient", "importance_sampled", "ppo_clip", "spo")
EPOCHS = (1, 4, 16)
RATES = (2.5e-4, 2.5e-3)
FINAL = {  # (learning rate, epochs) -> where each objective ends
    (2.5e-4, 1): (54, 55, 55, 52),
    (2.5e-4, 4): (118, 131, 128, 125),
    (2.5e-4, 16): (96, 188, 236, 229),
    (2.5e-3, 1): (282, 297, 303, 291),
    (2.5e-3, 4): (115, 277, 428, 434),
    (2.5e-3, 16): (57, 64, 480, 482),
}
SHIFT = {"policy_gradient": 0.05, "importance_sampled": 0.03, "ppo_clip": 0.004, "spo": 0.003}
PROVENANCE = {
    "format": 1,
    "git": {"commit": "0" * 40, "dirty": False, "remote": "https://example.org/rl-surrogates"},
    "versions": {"python": "3.12.0", "jax": "0.10.2", "jaxlib": "0.10.2", "rl-surrogates": "0.1.0"},
    "device": {"platform": "cpu", "kind": "cpu", "count": 2},
    "environment": {},
    "prng": {"uniform": [0.947667, 0.9785799, 0.33229148]},
    "overrides": [],
}


def write_results(
    root: Path,
    *,
    name: str = "why_the_ratio",
    description: str = "How many epochs can each objective survive on the same data?",
    axes: dict | None = None,
    seeds: int = 16,
    updates: int = 98,
    episodes: int = 16,
    diverged: tuple[int, ...] = (),
    keep: float = 1.0,
    num_items: int = 3,
    goal: str = "maximize",
) -> Path:
    """Writes the results and returns their folder.

    Args:
      root: where the folder is made.
      name: of the question.
      description: of the question.
      axes: dotted path -> values; those of `why_the_ratio` by default.
      seeds: per setting.
      updates: per run.
      episodes: evaluated per run and mode.
      diverged: positions of runs, in the plan's order, that diverge.
      keep: share of the work items that are there.
      num_items: work items.
      goal: of the metric.
    """
    axes = founding_axes() if axes is None else axes
    plan = make_plan(name, description, axes, seeds, num_items, goal)
    store = Store.open(root, name, plan, PROVENANCE)
    order = [run for item in plan["items"] for run in item["runs"]]
    random = np.random.default_rng(0)
    for item in plan["items"][: round(keep * len(plan["items"]))]:
        store.commit(item["item"], *tables(plan, item, order, updates, episodes, diverged, random))
    return store.path


def founding_axes() -> dict:
    return {
        "objective.name": list(OBJECTIVES),
        "ascent.num_epochs": list(EPOCHS),
        "ascent.learning_rate": list(RATES),
    }


def make_plan(name, description, axes, seeds, num_items=3, goal="maximize") -> dict:
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    base = {
        "env.name": "CartPole-v1",
        "network.hidden": [64, 64],
        "num_envs": 8,
        "num_steps": 128,
        "total_timesteps": 100_000,
        "objective.name": "ppo_clip",
        "objective.epsilon": 0.2,
        "ascent.num_epochs": 4,
        "ascent.learning_rate": 2.5e-4,
        "advantage.gamma": 0.99,
    }
    settings = [{"index": i, "axes": p, "config": {**base, **p}} for i, p in enumerate(points)]
    runs = [run_id(s["config"], seed) for s in settings for seed in range(seeds)]
    cuts = np.array_split(np.array(runs, object), min(num_items, len(runs)))
    items = [{"item": f"item{i}", "program": 0, "runs": list(cut)} for i, cut in enumerate(cuts)]
    return {
        "format": 1,
        "name": name,
        "description": description,
        "method": "grid",
        "metric": {"name": "evaluation/return", "goal": goal},
        "axes": axes,
        "seeds": {"start": 0, "count": seeds},
        "settings": settings,
        "programs": [{"program": 0, "objectives": list(OBJECTIVES), "static": {"num_envs": 8}}],
        "items": items,
    }


def run_id(config: dict, seed: int) -> str:
    text = json.dumps([config, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tables(plan, item, order, updates, episodes, diverged, random):
    """The runs, curves and evaluations of one work item."""
    runs, curves, evaluations = [], [], []
    for lane, name in enumerate(item["runs"]):
        position = order.index(name)
        setting, seed = divmod(position, plan["seeds"]["count"])
        config = plan["settings"][setting]["config"]
        broken = position in diverged
        about = {"run_id": name, "item": item["item"], "lane": lane, "width": len(item["runs"])}
        runs.append(
            {
                **about,
                "seed": plan["seeds"]["start"] + seed,
                "setting": setting,
                **config,
                "status": "diverged" if broken else "done",
                "diverged_at": updates // 2 if broken else None,
                "wall_s": 0.5,
                "device": "cpu",
            }
        )
        final = final_return(config) * np.exp(0.12 * random.normal())
        curves.append(curve(name, config, min(final, 500), updates, broken, random))
        evaluations.append(episode_rows(name, min(final, 500), updates, episodes, random))
    return pd.DataFrame(runs), pd.concat(curves), pd.concat(evaluations)


def final_return(config: dict) -> float:
    row = FINAL.get(
        (config["ascent.learning_rate"], config["ascent.num_epochs"]), (50, 100, 400, 420)
    )
    return dict(zip(OBJECTIVES, row, strict=True)).get(config["objective.name"], 100.0)


def curve(name, config, final, updates, broken, random) -> pd.DataFrame:
    update = np.arange(1, updates + 1)
    rise = 1.0 - np.exp(-4.0 * update / updates)
    returned = 20.0 + (final - 20.0) * rise + 0.06 * final * random.normal(size=updates)
    returned[random.random(updates) < 0.05] = np.nan  # no episode ended
    reuse = config["ascent.num_epochs"] * config["ascent.learning_rate"] / 2.5e-3
    kl = (
        SHIFT.get(config["objective.name"], 0.01)
        * reuse
        * np.exp(0.4 * random.normal(size=updates))
    )
    metrics = {
        "policy_loss": 0.01 * random.normal(size=updates),
        "value_loss": 50.0 * np.exp(-update / updates),
        "entropy": 0.69 - 0.3 * rise,
        "approx_kl": kl,
        "clip_fraction": np.minimum(6.0 * np.sqrt(kl), 1.0) * 0.5,
        "first_ratio_error": 1e-7 * random.random(updates),
        "explained_variance": 0.8 * rise,
        "episode_return": returned,
        "finite": 1.0 - (broken & (update >= updates // 2)),
    }
    if broken:
        metrics["episode_return"][updates // 2 :] = np.nan
        metrics["approx_kl"][updates // 2 :] = np.nan
    return pd.DataFrame({"run_id": name, "update": update, "env_steps": 1024 * update, **metrics})


def episode_rows(name, final, updates, episodes, random) -> pd.DataFrame:
    rows = []
    for mode, level in (("greedy", 1.0), ("sampled", 0.95)):
        returned = np.clip(level * final * np.exp(0.1 * random.normal(size=episodes)), 8, 500)
        rows.append(
            {
                "run_id": name,
                "env_steps": 1024 * updates,
                "mode": mode,
                "episode": np.arange(episodes),
                "return": returned,
                "length": returned.astype(int),
            }
        )
    return pd.concat([pd.DataFrame(row) for row in rows])
