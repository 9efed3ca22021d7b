"""A URL as the place of results: a folder's tables, whoever is stopped or taken for lost."""

import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

from rl_surrogates.cli import BAD_INPUT, DONE, main
from rl_surrogates.store import (
    Leases,
    Store,
    StoreError,
    StoreWarning,
    files,
    open_results,
    place,
)
from rl_surrogates.sweep import make_plan, run_sweep, status_of, use_every_core, worker
from rl_surrogates.sweep.driving import DRIVER, driving
from rl_surrogates.sweep.executors import local
from rl_surrogates.sweep.job import make_job
from rl_surrogates.sweep.progress import Progress
from tests import bucket
from tests.reliability.hands import far
from tests.reliability.sweeping import (
    ROOT,
    ask,
    assert_same,
    assert_whole,
    command,
    finish,
    interrupt_after,
    needs,
    question_file,
    tables,
)


@pytest.fixture(params=["memory", "bucket"])
def root(request, tmp_path):
    bucket.register()
    return place(f"{request.param}://{tmp_path}/results")


@pytest.fixture
def shared_root(tmp_path):
    """A place that other processes see, where no write is whole."""
    bucket.register()
    return place(f"bucket://{tmp_path}/results")


@pytest.fixture
def plugged(shared, tmp_path):
    """The environment of a process that knows the stores of the tests."""
    paths = [bucket.installed(tmp_path), str(ROOT), shared.get("PYTHONPATH", "")]
    return {**shared, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def listed(where):
    """What the manifest vouches for, and the manifest."""
    found = open_results(where)._listed
    return {path: files.read(where / path) for path in [*found, "manifest.json"]}


@pytest.mark.usefixtures("cheap")
def test_the_tables_are_those_of_a_folder_and_a_second_time_nothing_is_written(root, reference):
    found = run_sweep(ask(), out=root)
    assert_whole(found.path, reference)
    before = listed(found.path)
    assert_same(tables(run_sweep(ask(), out=str(root)).path), reference)
    assert listed(found.path) == before


@pytest.mark.usefixtures("cheap")
def test_an_interrupted_sweep_goes_on_from_its_checkpoint(root, reference, monkeypatch):
    interrupt_after(monkeypatch, root, ask(), 3)
    assert status_of(root / "tiny").done == 0 and files.names(root / "tiny" / "checkpoints")
    run_sweep(ask(), out=root)
    assert_whole(root / "tiny", reference)


@pytest.mark.usefixtures("cheap")
def test_every_command_that_takes_a_folder_takes_a_url(
    shared_root, reference, monkeypatch, capsys, tmp_path
):
    where = shared_root / "tiny"
    interrupt_after(monkeypatch, shared_root, ask(), 3)
    assert main(["resume", str(where), "--executor", "inline"]) == DONE
    assert_whole(where, reference)
    page = files.read(where / "report.html")
    assert page.startswith(b"<!DOCTYPE html>")
    files.remove(where / "report.html")
    assert main(["report", str(where)]) == DONE and files.read(where / "report.html") == page
    assert main(["status", str(where)]) == DONE
    assert "2 of 2 work items done" in capsys.readouterr().out
    assert main(["export", str(where)]) == BAD_INPUT
    assert "a copy goes to a folder; say with --out to which" in capsys.readouterr().err
    assert main(["export", str(where), "--out", str(tmp_path / "csv")]) == DONE
    assert len((tmp_path / "csv" / "runs.csv").read_text().splitlines()) == 1 + 8


@pytest.mark.usefixtures("cheap", "executors")
def test_workers_elsewhere_find_the_place_by_its_text(root, reference):
    run_sweep(ask(execution=far()), out=root, executor="beside")
    assert_whole(root / "tiny", reference)


@pytest.mark.slow
@pytest.mark.usefixtures("executors")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
@pytest.mark.parametrize(
    "name",
    [pytest.param("ray", marks=needs("ray")), pytest.param("slurm", marks=needs("submitit"))],
)
def test_processes_elsewhere_do_so_too(
    name, shared_root, plugged, reference, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    for variable, value in plugged.items():
        monkeypatch.setenv(variable, value)
    run_sweep(ask(execution=far()), out=shared_root, executor=name)
    assert_whole(shared_root / "tiny", reference)


@pytest.mark.usefixtures("cheap")
def test_a_write_that_is_cut_in_the_middle_loses_no_finished_item(shared_root, reference):
    """Cuts one write of a sweep, and goes on."""
    for k in (9, 20, 31):
        root = shared_root / f"cut{k}"
        with bucket.cut_at(k), pytest.raises(StoreError, match="Connection reset by peer"):
            run_sweep(ask(), out=root)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            run_sweep(ask(), out=root)
        assert_whole(root / "tiny", reference)


def test_a_second_driver_is_told_who_drives_and_a_dead_one_is_replaced(root):
    with driving(root) as first:
        with pytest.raises(StoreError, match=f"process {os.getpid()} on host .* is writing there"):
            with driving(root):
                pass
        first.check()
    with driving(root) as second:
        second.check()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    assert Leases(root / DRIVER, pid=dead.pid).claim(DRIVER)
    with driving(root) as third:
        third.check()
    assert Leases(root / DRIVER).find(DRIVER).released


def test_a_driver_that_was_taken_for_lost_lists_nothing_any_more(root):
    plan = make_plan(ask(), use_every_core())
    with driving(root / "tiny") as driver:
        store = Store.open(root, "tiny", plan.as_json(), {"versions": {}}, driver.check)
        later = Leases(root / "tiny" / DRIVER, host="elsewhere", clock=lambda: time.time() + 100.0)
        assert later.claim(DRIVER)
        before = files.read(root / "tiny" / "manifest.json")
        for write in (store.tidy, lambda: store.enlist_checkpoint("item", "checkpoints/a", {})):
            with pytest.raises(StoreError, match="taken for lost, and process .* on host 'elsewhe"):
                write()
    assert files.read(root / "tiny" / "manifest.json") == before
    assert not later.find(DRIVER).released  # it is not this process's to release


def test_a_worker_that_does_not_see_the_lease_of_its_item_trains_nothing(root):
    plan = make_plan(ask(), use_every_core())
    store = Store.open(root, "tiny", plan.as_json(), {"versions": {}})
    job = make_job(plan, plan.items()[0], store)._replace(tag="0" * 16)
    (event,) = worker.perform(job, worker.Programs(), lambda: False)
    assert event["event"] == "refused" and f"does not see {root / 'tiny'}" in event["message"]


def test_a_place_that_cannot_be_had_is_one_line_before_anything_is_trained(
    tmp_path, monkeypatch, capsys
):
    question_file(tmp_path, lanes=4, checkpoint_every=10)
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "tiny.yaml", "--out", "s4://bucket", "--executor", "inline"]) == BAD_INPUT
    assert capsys.readouterr().err.startswith("s4://bucket/tiny: unknown scheme 's4'; nearest: s3")
    for words in (["report"], ["status"], ["resume"], ["export"]):
        assert main([*words, "memory://nothing/there"]) == BAD_INPUT
        assert capsys.readouterr().err == "memory://nothing/there: no results here\n"
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_worker_process_writes_to_a_url_and_may_be_killed(
    killed, shared_root, plugged, reference, monkeypatch
):
    """A real process, which gets no lock, and a real kill -9 after its second checkpoint."""
    hands, start, tell = [], local.Local._start, Progress.tell
    monkeypatch.setattr(local.Local, "_start", lambda hand: (hands.append(hand), start(hand)))

    def kill(progress, event):
        tell(progress, event)
        if event["event"] == "checkpoint" and event["path"].split(".")[1] == "2":
            if killed and len(hands) == 1:
                os.kill(hands[0].process.pid, signal.SIGKILL)

    monkeypatch.setattr(Progress, "tell", kill)
    for name, value in plugged.items():
        monkeypatch.setenv(name, value)
    run_sweep(ask(), out=shared_root, executor="local")
    assert len(hands) == 1 + killed
    assert_whole(shared_root / "tiny", reference)


@pytest.mark.slow
def test_a_killed_command_goes_on_and_two_at_once_are_one(shared_root, plugged, tmp_path):
    question = question_file(tmp_path, lanes=4, checkpoint_every=10)
    finish(command(question, tmp_path / "whole", plugged))
    whole, kills = tables(tmp_path / "whole" / "tiny"), 0
    for number in range(4):
        root = shared_root / f"killed{number}"
        first = command(question, root, plugged)
        while not files.names(root / "tiny" / "leases"):
            time.sleep(0.05)
        assert "is writing there" in finish(command(question, root, plugged), 2)
        time.sleep(0.3 * number)
        first.kill()
        first.communicate()
        kills += first.returncode == -signal.SIGKILL
        finish(command(question, root, plugged))
        assert_whole(root / "tiny", whole)
    print(f"{kills} kills")
    assert kills >= 2
