"""Every notebook runs from top to bottom, and what is stored in it is fit to be read.

Run here without Jupyter, so that the tests need none. `UPDATE_NOTEBOOKS=1 ./scripts/test
tests/test_notebooks.py` stores what it prints and draws.
"""

import base64
import contextlib
import io
import json
import linecache
import os
import re
from pathlib import Path

import matplotlib
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
MAX_BYTES = 1_000_000
# Two or more folders from a root, or a drive: not the path of an address, not a fraction.
ABSOLUTE_PATH = re.compile(r"(?<![\w:/.<)\]}])/(?:[\w.~-]+/)+[\w.~-]+|\b[A-Za-z]:\\\w")


SLOW = {"03_a_sweep", "04_your_own_objective"}  # to execute: they compile trainings


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    """Path of a notebook and its content."""
    return request.param, json.loads(request.param.read_text("utf-8"))


def code_cells(content):
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def text_of(lines):
    """Notebooks store a text as one string or as a list of lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def images_in(cell):
    return sum("image/png" in output.get("data", {}) for output in cell["outputs"])


def without_images(value):
    """The content of a notebook but for its pictures, whose text is no text."""
    if isinstance(value, dict):
        kept = {key: inner for key, inner in value.items() if not key.startswith("image/")}
        return {key: without_images(inner) for key, inner in kept.items()}
    return [without_images(inner) for inner in value] if isinstance(value, list) else value


def strings_in(value):
    """All texts of a nested structure, lists of lines joined."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return ["".join(value)]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in inner for text in strings_in(part)]


def execute(path, cells, shown):
    """Runs the cells in one fresh namespace; `shown` gets the outputs of each cell."""
    namespace = {"__name__": "__main__"}
    for i, cell in enumerate(cells):
        source, where = text_of(cell["source"]), f"{path.name}, code cell {i + 1}"
        # so that a traceback shows the line that failed
        linecache.cache[where] = len(source), None, source.splitlines(keepends=True), where
        shown.append([])
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(source, where, "exec"), namespace)
        if text := printed.getvalue():
            shown[-1].append({"name": "stdout", "output_type": "stream", "text": lines_of(text)})


def lines_of(text):
    return text.splitlines(keepends=True)


def as_output(figure):
    """A figure as a notebook stores it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi, metadata={"Software": None})
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode() + "\n"}
    return {"data": data, "metadata": {}, "output_type": "display_data"}


def store(path, content, outputs):
    """Writes the outputs of a run into the notebook."""
    for i, (cell, found) in enumerate(zip(code_cells(content), outputs, strict=True)):
        cell["execution_count"] = i + 1
        cell["outputs"] = sorted(found, key=lambda output: output["output_type"], reverse=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def test_there_is_a_notebook():
    assert NOTEBOOKS


def marked(path):
    return pytest.param(path, marks=[pytest.mark.slow] if path.stem in SLOW else [], id=path.stem)


@pytest.mark.parametrize("notebook", list(map(marked, NOTEBOOKS)), indirect=True)
def test_a_notebook_runs_and_draws_the_figures_it_stores(notebook, monkeypatch, tmp_path):
    path, content = notebook
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown, storing = [], bool(os.environ.get("UPDATE_NOTEBOOKS"))

    def show():
        for number in plt.get_fignums():
            figure = plt.figure(number)
            if not storing:
                figure.set_layout_engine("none")  # most of the time goes into the layout
                figure.canvas.draw()
            shown[-1].append(as_output(figure) if storing else {"data": {"image/png": ""}})
        plt.close("all")

    monkeypatch.setattr(plt, "show", show)
    monkeypatch.chdir(tmp_path)
    cells = code_cells(content)
    with matplotlib.rc_context():
        execute(path, cells, shown)
    assert not plt.get_fignums(), "a figure was drawn and not shown"
    if storing:
        store(path, content, shown)
    stored = [images_in(cell) for cell in cells]
    assert [images_in({"outputs": found}) for found in shown] == stored, "outputs are out of date"


def test_a_notebook_is_stored_as_one_run_from_top_to_bottom(notebook):
    _, content = notebook
    cells = code_cells(content)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert sum(map(images_in, cells)) > 0
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


def test_a_notebook_tells_nothing_of_the_machine_it_ran_on(notebook):
    _, content = notebook
    found = [ABSOLUTE_PATH.findall(text) for text in strings_in(without_images(content))]
    assert not any(found), [paths for paths in found if paths]
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    assert not [cell["metadata"] for cell in content["cells"] if "execution" in cell["metadata"]]


def test_a_notebook_is_small(notebook):
    path, _ = notebook
    assert path.stat().st_size < MAX_BYTES


@pytest.mark.parametrize(
    ("text", "is_path"),
    [
        ("/home/me/lab/nets.py", True),
        ("File /usr/lib/python3.11/ast.py:50", True),
        ("C:\\lab", True),
        ("d l / d log pi, 1/(1 + epsilon), value/slope/ratio", False),
        ("https://arxiv.org/abs/1707.06347", False),
    ],
)
def test_an_absolute_path_is_recognised(text, is_path):
    assert bool(ABSOLUTE_PATH.search(text)) == is_path
