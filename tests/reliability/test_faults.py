"""A disk that fails at any moment: one line that names the path, nothing lost, and it can go on."""

import errno
import itertools
import os
import random

import pytest

from rl_surrogates.cli import main
from rl_surrogates.store import StoreError, StoreWarning, files, manifest, open_results
from rl_surrogates.sweep import run_sweep
from tests.reliability.sweeping import ask, assert_same, interrupt_after, tables

pytestmark = pytest.mark.usefixtures("cheap")

STEPS = ("write", "fsync", "replace")
CODES = (errno.ENOSPC, errno.EIO, errno.EACCES)
SHORT = {"seeds": 2, "every": 2}  # one work item of four runs, two checkpoints


@pytest.fixture(scope="module")
def short(finished, tmp_path_factory):
    """The tables of the short sweep; its runs are among those of the tiny one."""
    root = tmp_path_factory.mktemp("short")
    run_sweep(ask(**SHORT), out=root)
    return tables(root / "tiny")


def failing(monkeypatch, step, k, code=errno.ENOSPC):
    """Has the k-th `step` of the disk fail, from 0; returns how many there were so far."""
    real, count = getattr(os, step), itertools.count()
    seen = []

    def fail(*arguments):
        seen.append(step)
        if next(count) == k:
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    monkeypatch.setattr(files.os, step, fail)
    return seen


def fails_and_recovers(root, short, step, k, code):
    """Runs the short sweep with one fault, and again without; whether the fault was met."""
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        seen = failing(patch, step, k, code)
        try:
            run_sweep(ask(**SHORT), out=root)
        except StoreError as error:
            assert "\n" not in str(error) and str(root) in str(error)
            assert os.strerror(code) in str(error)
        else:
            return len(seen) > k
    if (root / "tiny" / "manifest.json").exists():
        open_results(root / "tiny", partial=True).runs()
    run_sweep(ask(**SHORT), out=root)
    assert_same(tables(root / "tiny"), short)
    assert not [path for path in root.rglob("*") if path.name.endswith(".aside")]
    return True


def how_many(tmp_path):
    """Step -> how often a short sweep takes it."""
    counts = {}
    for step in STEPS:
        with pytest.MonkeyPatch.context() as patch:
            seen = failing(patch, step, -1)
            run_sweep(ask(**SHORT), out=tmp_path / step)
        counts[step] = len(seen)
    return counts


def test_a_fault_at_a_moment_out_of_three_loses_nothing(short, tmp_path):
    chosen = random.Random(0)
    for step, count in how_many(tmp_path).items():
        assert count > 15
        for k in sorted({0, count - 1, *chosen.sample(range(1, count - 1), 4)}):
            code = chosen.choice(CODES)
            assert fails_and_recovers(tmp_path / f"{step}{k}", short, step, k, code)


@pytest.mark.slow
def test_a_fault_at_any_moment_loses_nothing(short, tmp_path):
    met = 0
    for step, count in how_many(tmp_path).items():
        for k, code in itertools.product(range(count), CODES):
            assert fails_and_recovers(tmp_path / f"{step}{k}-{code}", short, step, k, code)
            met += 1
    print(f"{met} faults")
    assert met > 100


def test_the_command_line_tells_a_full_disk_in_one_line(tmp_path, monkeypatch, capsys):
    from rl_surrogates import cli

    monkeypatch.setattr(cli, "load_question", lambda *_: ask(**SHORT))
    failing(monkeypatch, "fsync", 6)
    status = main(["sweep", "x.yaml", "--out", str(tmp_path), "--executor", "inline"])
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 2
    assert len(lines) == 1 and str(tmp_path) in lines[0] and os.strerror(errno.ENOSPC) in lines[0]


def harmed(path, chosen, cut):
    """Flips one bit of a file, or cuts it short; returns what it held."""
    data = path.read_bytes()
    if cut:
        path.write_bytes(data[: chosen.randrange(len(data))])
    else:
        changed = bytearray(data)
        changed[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        path.write_bytes(changed)
    return data


def of_the_results(path):
    """Whether a file counts: the lock and the leases say who works there, and vouch for nothing."""
    return path.name != ".lock" and path.parent.name != "leases"


def corrupt_and_go_on(root, reference, chosen, count):
    """Harms files of a half-finished sweep, one at a time; counts how often that was noticed."""
    folder = root / "tiny"
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    victims = sorted(p for p in before if of_the_results(p))
    noticed = 0
    for number in range(count):
        for path in [p for p in folder.rglob("*") if p.is_file()]:
            path.unlink()
        for path, data in before.items():
            path.write_bytes(data)
        victim = victims[number % len(victims)]
        harmed(victim, chosen, cut=number % 6 == 5)
        if victim.name != "manifest.previous.json":  # read only when the manifest is damaged
            with pytest.raises(StoreError, match=victim.name):
                open_results(folder)
        with pytest.MonkeyPatch.context() as patch:
            warned = []
            patch.setattr(
                "warnings.warn", lambda text, *_, warned=warned, **__: warned.append(text)
            )
            run_sweep(ask(), out=root)
        assert_same(tables(folder), reference)
        if victim.name == "manifest.previous.json":
            assert not warned
        else:
            noticed += any(victim.name in text for text in warned)
    return noticed


def half_finished(root, monkeypatch):
    """One item committed, and of the next one two checkpoints."""
    interrupt_after(monkeypatch, root, ask(), 8)
    listed = manifest.read_manifest(root / "tiny")
    for path in (root / "tiny" / "checkpoints").iterdir():
        if f"checkpoints/{path.name}" not in listed:
            path.unlink()  # the last one was written, and not yet listed


def test_a_sample_of_corruptions_is_noticed_and_the_state_before_is_used(
    reference, tmp_path, monkeypatch
):
    half_finished(tmp_path, monkeypatch)
    listed = [p for p in (tmp_path / "tiny").rglob("*") if p.is_file() and of_the_results(p)]
    assert len([p for p in listed if p.suffix == ".ckpt"]) >= 2 and len(listed) >= 9
    noticed = corrupt_and_go_on(tmp_path, reference, random.Random(1), count=len(listed))
    assert noticed >= len(listed) - 3  # the older checkpoint and the older manifest go unread


@pytest.mark.slow
def test_six_hundred_corruptions_are_noticed(reference, tmp_path, monkeypatch):
    half_finished(tmp_path, monkeypatch)
    noticed = corrupt_and_go_on(tmp_path, reference, random.Random(2), count=600)
    print(f"{noticed} of 600 told when going on")


def test_a_damaged_manifest_of_a_begun_item_leaves_the_state_before(
    reference, tmp_path, monkeypatch
):
    half_finished(tmp_path, monkeypatch)
    (tmp_path / "tiny" / "manifest.json").write_bytes(b"{}")
    with pytest.warns(StoreWarning, match="manifest.json: damaged"):
        run_sweep(ask(), out=tmp_path)
    assert_same(tables(tmp_path / "tiny"), reference)
