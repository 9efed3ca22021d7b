"""Synthetic results, made once; `synthetic.py` makes them."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def synthetic():
    spec = importlib.util.spec_from_file_location(
        "synthetic", Path(__file__).with_name("synthetic.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def founding(synthetic, tmp_path_factory):
    """The founding question with eight seeds, one of them diverged."""
    root = tmp_path_factory.mktemp("results")
    return synthetic.write_results(root, seeds=8, updates=24, episodes=4, diverged=(3,))
