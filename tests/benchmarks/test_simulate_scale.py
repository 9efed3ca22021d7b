"""A sweep with a fake clock over the real plan, leases and manifest: nothing is lost or doubled."""

import pytest

from benchmarks import simulate_scale
from rl_surrogates.store import files, listed


@pytest.mark.parametrize("arguments", [[], ["--parts", "--seeds", "20"]])
def test_a_sweep_that_loses_its_workers_lists_every_item_once(tmp_path, monkeypatch, arguments):
    monkeypatch.setattr(listed, "FOLD", 64)
    monkeypatch.setattr(files.os, "fsync", lambda _: None)  # no disk is tested here
    few = ["--workers", "20", "--settings", "8", "--seeds", "100", "--lanes", "4"]
    options = simulate_scale.parse([*few, "--loss", "0.9", "--minutes", "1.5", *arguments])
    simulation, figures = simulate_scale.simulate(options, tmp_path)
    found = dict(figures)
    items = options.seeds * options.settings // 4
    assert set(simulation.finished.values()) == {1} and len(simulation.finished) == items
    assert found["items lost"] == found["items doubled"] == "0"
    assert simulation.counts["workers lost"] and simulation.counts["items taken over"]
    if options.parts:
        assert found["runs lost"] == found["runs doubled"] == "0"
