"""What the tests of this folder compile, once."""

import contextlib
import os

import pytest

from rl_surrogates.sweep import engine
from tests.compiled import share_compilations
from tests.reliability import hands, sweeping
from tests.reliability.zygote import Zygote


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Compiles equal programs once; the environment of a process that does so too."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "master")
    return {**os.environ, **share_compilations(tmp_path_factory, worker)}


@pytest.fixture(scope="session")
def zygote(shared):
    """What forks sweeps to be killed."""
    with contextlib.closing(Zygote(shared)) as zygote:
        yield zygote


@pytest.fixture(scope="session")
def compiled():
    """The compiled functions of the tiny sweep, by program."""
    return {}


@pytest.fixture
def executors(shared, monkeypatch):
    """Those of the tests have names too; SLURM's is submitit's own, on this machine."""
    for name, value in shared.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(engine.EXECUTORS, "beside", hands.Beside)
    monkeypatch.setitem(engine.EXECUTORS, "mailbox", hands.Mailbox)
    monkeypatch.setitem(engine.EXECUTORS, "slurm", hands.HereSlurm)


@pytest.fixture
def cheap(shared, compiled, monkeypatch):
    """Sweeps in this process compile once per session."""
    sweeping.compile_once(monkeypatch, compiled)


@pytest.fixture(scope="session")
def finished(shared, compiled, tmp_path_factory):
    """The folder of the tiny sweep, never interrupted."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        sweeping.compile_once(monkeypatch, compiled)
        sweeping.run_sweep(sweeping.ask(), out=root)
    return root / "tiny"


@pytest.fixture(scope="session")
def reference(finished):
    """Its tables."""
    return sweeping.tables(finished)
