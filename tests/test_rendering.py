"""An episode of a policy becomes a GIF, and what cannot be drawn is said in one line."""

import sys

import jax
import numpy as np
import pytest
from PIL import Image

from rl_surrogates import cli, environments, make_program, rendering, save_policy
from rl_surrogates.config import Config
from rl_surrogates.environments.names import DRAWN
from rl_surrogates.store.policies import load_policy


def policy_of(env, folder):
    config = Config(env=env, network={"hidden": [4]}, num_envs=2, num_steps=64)
    state = jax.jit(make_program(config).init)(jax.random.key(0), config.hypers())
    save_policy(folder / "policy", config, state)
    return folder / "policy"


@pytest.fixture(scope="module")
def catch(tmp_path_factory):
    """A policy behind stacked frames and sticky actions, whose states the picture must not see."""
    env = {"name": "Catch-bsuite", "frame_stack": 2, "sticky": 0.1, "max_steps": 5}
    return policy_of(env, tmp_path_factory.mktemp("catch"))


def frames(path):
    with Image.open(path) as gif:
        shown = []
        for k in range(gif.n_frames):
            gif.seek(k)
            shown.append(np.asarray(gif.convert("L")))
        return shown


def test_an_episode_is_drawn_from_the_shell(catch, tmp_path, capsys):
    assert cli.main(["render", str(catch), str(tmp_path / "out.gif"), "--seed", "3"]) == cli.DONE
    assert "out.gif: return 0" in capsys.readouterr().out  # the time limit comes before the ball
    shown = frames(tmp_path / "out.gif")
    assert len(shown) == 5 and shown[0].shape == (500, 600)
    assert np.abs(shown[0].astype(int) - shown[4]).max() > 100  # the ball has fallen


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["out.png"], "let its name end in .gif"),
        (["missing/out.gif"], "missing"),
        (["out.gif", "--steps", "0"], "use at least 1"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(
    catch, tmp_path, monkeypatch, capsys, arguments, said
):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["render", str(catch), *arguments]) == cli.BAD_INPUT
    told = capsys.readouterr().err.strip()
    assert said in told and "\n" not in told


def test_a_missing_extra_is_told_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    policy = load_policy(policy_of({"name": "CartPole-v1"}, tmp_path))
    with pytest.raises(ValueError, match=r"pip install 'rl-surrogates\[render\]'"):
        rendering.render(policy, tmp_path / "out.gif", jax.random.key(0), max_steps=1)


def test_what_gymnax_does_not_draw_is_refused_with_what_it_does():
    with pytest.raises(ValueError, match=r"draws no DeepSea-bsuite; it draws CartPole-v1"):
        environments.check_drawable(environments.make("DeepSea-bsuite"))


def test_the_table_of_pictures_is_that_of_gymnax():
    import inspect

    from gymnax.visualize import Visualizer

    source = inspect.getsource(Visualizer.init)
    drawn = {name for name in environments.ENVIRONMENT_NAMES if f'"{name}"' in source}
    assert drawn == set(DRAWN)
