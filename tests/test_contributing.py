"""The six steps of CONTRIBUTING.md, followed to the letter on a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = "jeffreys_penalty"
COPIED = ("rl_surrogates", "tests", "configs", "pyproject.toml", "README.md")
# A file's name, the rest of its sentence, and the block that belongs into that file.
STEP = re.compile(r"`([\w/]+\.\w+)`:\n\n```(diff|python|yaml)\n(.*?)^```$", re.M | re.S)


def steps():
    """`(path, kind, block)` of every block that the recipe puts into a file, in order."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    return STEP.findall(text.split("## Add an objective")[1].split("\n## ")[0])


def apply(path, kind, block):
    """A diff goes where its context stands, Python to the end of its file, YAML into a new file."""
    if kind == "yaml":
        assert not path.exists()
        path.write_text(block, "utf-8")
        return
    text = path.read_text("utf-8")
    if kind == "diff":
        lines = block.splitlines(keepends=True)
        context = "".join(line[1:] for line in lines if line[0] == " ")
        assert text.count(context) == 1, (
            f"{path}: the recipe's context is not there once: {context}"
        )
        text = text.replace(context, "".join(line[1:] for line in lines))
    else:
        text += "\n\n" + block
    path.write_text(text, "utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project after the recipe."""
    folder = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    for path, kind, block in steps():
        apply(folder / path, kind, block)
    return folder


def run(project, *command, **more):
    """Runs Python in the copy; returns what it printed."""
    ours = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYTHONPATH"))}
    env = ours | {"PYTHONPATH": str(project), "JAX_PLATFORMS": "cpu"} | more
    done = subprocess.run(
        [sys.executable, *command], cwd=project, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_recipe_touches_a_file_in_each_of_its_steps():
    files = [path for path, _, _ in steps()]
    assert [path.split("/")[0] for path in files] == [
        *["tests"] * 3,
        *["rl_surrogates"] * 3,
        "configs",
    ]


def test_the_new_row_passes_the_contract_tests(project):
    tests = ("tests/contract", "tests/objectives/test_penalised.py")
    printed = run(project, "-m", "pytest", "-p", "no:cacheprovider", *tests, "-k", ROW, "-rp")
    passed = re.findall(rf"PASSED \S+::(\w+)\[{ROW}", printed)
    assert "test_penalty_at_four_times_the_old_probability" in passed
    assert "test_slope_is_the_closed_form" in passed
    assert "test_slope_at_ratio_one_is_the_advantage_exactly_where_declared" in passed


def test_the_new_row_reaches_the_readme_and_its_question_can_be_planned(project):
    table = "tests/test_readme.py::test_the_table_of_objectives_is_the_catalogue"
    run(project, "-m", "pytest", "-p", "no:cacheprovider", table, UPDATE_README="1")
    assert f"| [`{ROW}`](rl_surrogates/objectives/penalised.py) | beta=1 | yes | no |" in (
        project / "README.md"
    ).read_text("utf-8")
    assert ROW in run(project, "-m", "rl_surrogates", "plan", "configs/symmetric_kl.yaml")


def test_the_new_code_is_in_the_style_of_the_project(project):
    changed = [path for path, _, _ in steps() if path.endswith(".py")]
    run(project, "-m", "ruff", "check", *changed)
    run(project, "-m", "ruff", "format", "--check", *changed)
