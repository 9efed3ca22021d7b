"""Every environment that gymnax registers trains from a config that differs only in its name."""

import jax
import pytest

from rl_surrogates import environments, make_program
from rl_surrogates.config import Config
from rl_surrogates.sweep import run_sweep

MNIST = "MNISTBandit-bsuite"  # reads images that are not there
TRAINABLE = [name for name in environments.ENVIRONMENT_NAMES if name != MNIST]


def program(name):
    return make_program(
        Config(
            env={"name": name},
            network={"hidden": [4]},
            num_envs=2,
            num_steps=4,
            total_timesteps=16,  # 2 updates
            ascent={"num_epochs": 1, "num_minibatches": 1},
        )
    )


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_training_keeps_the_types_of_its_state(name):
    made = program(name)
    hypers = made.config.hypers()
    begin = jax.eval_shape(made.init, jax.random.key(0), hypers)
    after, info = jax.eval_shape(made.update, begin, hypers)
    assert jax.tree.structure(begin) == jax.tree.structure(after)
    for one, other in zip(jax.tree.leaves(begin), jax.tree.leaves(after), strict=True):
        assert (one.shape, one.dtype, one.weak_type) == (other.shape, other.dtype, other.weak_type)
    assert info["episode_return"].shape == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_two_updates_are_finite_and_begin_with_a_ratio_of_one(name):
    made = program(name)
    _, metrics = jax.jit(made.train)(jax.random.key(0), made.config.hypers())
    assert bool(metrics["finite"].all())
    assert float(metrics["first_ratio_error"].max()) <= 1e-5


@pytest.mark.slow
def test_a_file_that_differs_in_the_name_only_trains_them_all(tmp_path):
    file = tmp_path / "every.yaml"
    file.write_text(
        f"""\
name: every
parameters:
  env.name: {{values: [{", ".join(TRAINABLE)}]}}
  network.hidden: {{value: [8]}}
  num_envs: {{value: 4}}
  num_steps: {{value: 16}}
  total_timesteps: {{value: 256}}
  evaluation.episodes: {{value: 2}}
seeds: {{count: 2}}
"""
    )
    runs = run_sweep(file, out=tmp_path).runs()
    assert set(runs["env.name"]) == set(TRAINABLE) and len(runs) == 2 * len(TRAINABLE)
    assert set(runs["status"]) == {"done"}


def test_images_that_are_not_there_are_not_fetched(monkeypatch):
    from gymnax.utils import load_mnist

    def refused(*args):
        raise AssertionError("a download was attempted")

    monkeypatch.setattr(load_mnist, "urlretrieve", refused)
    with pytest.raises(ValueError, match=f"env.name: {MNIST}.*nothing is downloaded"):
        environments.make(MNIST)
