"""Text is never run, results hold no secret, and nothing is sent anywhere."""

import ast
import os
import socket
import stat
from pathlib import Path

import jax
import pytest

from rl_surrogates.cli import main
from rl_surrogates.config import Config, ConfigError
from rl_surrogates.sweep import cache, check_memory, engine, make_plan, memory, run_sweep
from rl_surrogates.sweep.lanes import Lanes
from tests.reliability.sweeping import ask

SOURCES = sorted((Path(__file__).parents[2] / "rl_surrogates").rglob("*.py"))
HOSTILE = [
    "__import__('os').system('true')",
    "os.system",
    "os:system",
    "builtins.eval",
    "builtins:eval",
    "__class__",
    "__builtins__",
    "__init__",
    "__dict__",
    "jax.numpy.load",
    "../../etc/passwd",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "ppo_clip.__globals__",
    "ppo_clip\0",
    "ppo_clip;",
    "PPO_CLIP ",
    "lambda: 0",
    "pickle.loads",
    "numpy:load",
]
FIELDS = ["objective.name", "env.name", "network.activation", "network.torso", "ascent.name"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_name_out_of_a_config_is_looked_up_and_never_imported_or_run(field, monkeypatch):
    monkeypatch.setattr("importlib.import_module", lambda *_: pytest.fail("imported"))
    section, key = field.split(".")
    for text in HOSTILE:
        with pytest.raises(ConfigError, match=field):
            Config(**{section: {key: text}})


def test_no_source_runs_text_or_loads_pickles():
    forbidden = {"eval", "exec", "compile", "__import__"}
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden, f"{path}:{node.lineno}"
            if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "shell"):
                assert getattr(node.value, "value", True) is False, f"{path}:{node.value.lineno}"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
                assert not names & {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}


def test_no_secret_of_the_environment_reaches_the_results(tmp_path, cheap, monkeypatch):
    canary = "c4n4ry-9f2"
    for name in ("JAX_API_KEY", "JAX_MY_TOKEN", "AWS_SECRET", "PASSWORD", "HOME_GROWN"):
        monkeypatch.setenv(name, canary)
    run_sweep(ask(seeds=1), out=tmp_path, overrides=[])
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes(), path


def test_a_sweep_talks_to_nobody(tmp_path, cheap, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("looked up a name"))
    assert len(run_sweep(ask(seeds=1), out=tmp_path).runs()) == 2


def test_what_no_device_can_hold_is_refused_before_anything_is_compiled(
    tmp_path, monkeypatch, capsys
):
    question = ask(num_envs=100_000, num_steps=10_000, total_timesteps=1_000_000_000)
    monkeypatch.setattr(memory, "available", lambda: 2**34)
    monkeypatch.setattr(Lanes, "init", lambda *_: pytest.fail("it began"))
    with pytest.raises(ConfigError, match=r"execution\.lanes: .* GiB, the devices have 16\.0"):
        run_sweep(question, out=tmp_path)
    assert not list(tmp_path.iterdir())
    plan = make_plan(question)
    check_memory(plan, allow_large=True)
    monkeypatch.setattr("rl_surrogates.cli.load_question", lambda *_: question)
    assert main(["plan", "x.yaml"]) == 2
    assert "say --yes" in capsys.readouterr().err
    assert main(["plan", "x.yaml", "--yes"]) == 0
    assert "MiB of device memory" in capsys.readouterr().out


def test_the_estimate_of_memory_is_linear_in_lanes_and_blind_to_the_length():
    def estimate(**changes):
        return memory.item_bytes(make_plan(ask(**changes)))

    once = estimate(lanes=4)
    assert estimate(lanes=8) == 2 * once
    assert estimate(total_timesteps=16_000_000) == once
    assert estimate(num_steps=16, total_timesteps=96) > once


def test_the_estimate_of_memory_counts_the_environments_of_an_evaluation():
    small, large, larger = (
        memory.item_bytes(make_plan(ask(evaluation__episodes=n))) for n in (2, 10_000, 20_000)
    )
    # Four lanes; an environment of CartPole holds 4 numbers of state, as many of observation, and
    # counts: three copies of at least 32 bytes, twice, as there are greedy and sampled episodes.
    assert larger - large > 4 * 10_000 * 2 * 3 * 32
    assert large - small == pytest.approx(larger - large, rel=0.01)


def test_the_estimate_of_memory_counts_the_patches_of_a_convolution():
    def estimate(torso):
        sizes = {"num_envs": 8, "num_steps": 16, "total_timesteps": 1280, "network__hidden": [8]}
        question = ask(lanes=1, env__name="Breakout-MinAtar", network__torso=torso, **sizes)
        return memory.item_bytes(make_plan(question))

    per_sample = 2 * 4 * 64 * (9 * 4 + 16)  # V(s) and V(s'), float32, 8 x 8 places
    assert estimate("cnn") - estimate("mlp") == pytest.approx(8 * 16 * per_sample, rel=0.1)


def test_compiled_programs_are_kept_where_no_other_user_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache.private_folder()
    assert folder.is_relative_to(tmp_path) and stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert cache.private_folder() is None
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert cache.private_folder() is None
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    assert cache.private_folder() is None


def test_the_user_s_choice_of_a_cache_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = jax.config.jax_compilation_cache_dir
    try:
        jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
        assert cache.keep_compilations() == tmp_path / "mine"
        jax.config.update("jax_enable_compilation_cache", False)
        assert cache.keep_compilations() is None
        assert not list(tmp_path.iterdir()) and engine
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
        jax.config.update("jax_compilation_cache_dir", before)
