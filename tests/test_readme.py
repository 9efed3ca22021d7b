"""What the README says is so: its table, its Python, its error messages and its code map.

The table of objectives is written here from the rows: `UPDATE_README=1 ./scripts/test
tests/test_readme.py`.
"""

import os
import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from rl_surrogates.config import ConfigError, load_question
from rl_surrogates.objectives import OBJECTIVES

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
OPEN, CLOSE = "<!-- objectives -->\n", "<!-- /objectives -->"


def objectives_table():
    """The rows of the catalogue as a table in Markdown."""
    lines = [
        "| objective | coefficients | first order | scale free | source |",
        "|---|---|---|---|---|",
    ]
    for name, entry in OBJECTIVES.items():
        path = entry.fn.__module__.replace(".", "/") + ".py"
        coefficients = ", ".join(f"{key}={value:g}" for key, value in entry.coefficients.items())
        declared = ["yes" if held else "no" for held in (entry.first_order, entry.scale_free)]
        source = re.sub(r"arXiv:(\d+\.\d+)", r"[\g<0>](https://arxiv.org/abs/\1)", entry.source)
        lines.append(" | ".join([f"| [`{name}`]({path})", coefficients, *declared, f"{source} |"]))
    return "\n".join(lines) + "\n"


def blocks(language):
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)


def test_the_table_of_objectives_is_the_catalogue():
    before, rest = README.read_text("utf-8").split(OPEN)
    shown, after = rest.split(CLOSE)
    if os.environ.get("UPDATE_README"):
        shown = objectives_table()
        README.write_text(before + OPEN + shown + CLOSE + after, "utf-8")
    assert shown == objectives_table(), "run UPDATE_README=1 ./scripts/test tests/test_readme.py"


def run_examples(monkeypatch, text, **names):
    """Executes the README's Python; returns what it defined."""
    monkeypatch.chdir(ROOT)
    scope = dict(names)
    exec(text, scope)
    shape = (len(scope["rates"]), len(scope["keys"]), scope["config"].num_updates)
    assert scope["metrics"]["episode_return"].shape == shape
    return scope


def test_the_python_examples_fit_the_package(monkeypatch):
    # Traced and not compiled: half a minute less.
    text = "\n".join(blocks("python")).replace("jax.jit(", "only_trace(")
    scope = run_examples(monkeypatch, text, only_trace=lambda fn: partial(jax.eval_shape, fn))
    assert scope["slope"].tolist() == pytest.approx([0.5, 0.0, 0.0, -1.5], abs=1e-6)


@pytest.mark.slow
def test_the_python_examples_run_as_they_are_written(monkeypatch):
    scope = run_examples(monkeypatch, "\n".join(blocks("python")))
    assert jnp.isfinite(scope["metrics"]["policy_loss"]).all()


def test_a_wrong_question_is_answered_with_the_errors_that_are_shown(tmp_path):
    example = README.read_text("utf-8").split("<!-- errors -->")[1]
    question, errors = re.findall(r"^```(?:yaml)?\n(.*?)^```$", example, re.M | re.S)[:2]
    base = tmp_path / "base" / "cartpole_ppo.yaml"
    base.parent.mkdir()
    base.write_text((ROOT / "configs/base/cartpole_ppo.yaml").read_text("utf-8"), "utf-8")
    path = tmp_path / "wider_clip.yaml"
    path.write_text(question, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_question(path)
    assert str(caught.value).replace(f"{tmp_path}{os.sep}", "") == errors.strip()


def test_the_example_question_is_one(tmp_path):
    path = ROOT / "configs" / "base" / "cartpole_ppo.yaml"
    text = blocks("yaml")[0].replace("base/cartpole_ppo.yaml", path.as_posix())
    file = tmp_path / "question.yaml"
    file.write_text(text, "utf-8")
    assert len(load_question(file).settings()) == 6


def test_the_code_map_leaves_no_part_of_the_package_out():
    code_map = README.read_text("utf-8").split("## Code map")[1].split("\n## ")[0]
    known = {"types.py", "py.typed", "__init__.py", "__main__.py", "__pycache__"}
    parts = {path.name for path in (ROOT / "rl_surrogates").iterdir()} - known
    assert sorted(part for part in parts if part not in code_map) == []
    for folder in re.findall(r"^\| `([^`]+)`", code_map, re.M):
        assert (ROOT / folder).exists(), folder
