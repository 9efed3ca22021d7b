"""kill -9 at any moment: what was stored is sound, and the sweep ends with the same bits."""

import random
import signal
import time

import pytest

from tests.reliability.sweeping import UPDATES, assert_same, command, finish, question_file, tables
from tests.reliability.zygote import STEPS

ITEMS, RUNS = 3, 24


@pytest.fixture(scope="module")
def whole(zygote, tmp_path_factory):
    """Tables of the sweep that nobody killed, its seconds, and how often it took each step."""
    roots = [tmp_path_factory.mktemp("whole") / name for name in ("compiling", "compiled")]
    zygote.sweep(roots[0])
    _, seconds = zygote.sweep(roots[1])
    found = [tables(root / "tiny") for root in roots]
    assert_same(*found)
    assert len(found[0]["runs"]) == RUNS
    lines = roots[1].with_suffix(".log").read_text().split()
    assert lines.count("chunk") <= ITEMS * UPDATES
    return found[0], seconds, {step: lines.count(step) for step in STEPS}


def killed_and_resumed(zygote, whole, folder, kills, aimed, seed):
    """Kills sweeps until there were so many kills, finishing each after a few of them."""
    reference, seconds, counts = whole
    chosen, done, number = random.Random(seed), 0, 0
    while done < kills:
        number += 1
        root, hits = folder / f"sweep{number}", 0
        for _ in range(min(chosen.randint(3, 9), kills - done)):
            if done + hits < aimed:
                step = chosen.choice(STEPS)
                when = chosen.choice(["before", "within", "after"])
                aim = [step, chosen.randrange(counts[step]), when]
                killed, _ = zygote.sweep(root, aim=aim)
            else:
                killed, _ = zygote.sweep(root, after=chosen.uniform(0.0, seconds))
            hits += killed
            if not killed:  # and so it is finished
                break
        if killed:
            zygote.sweep(root)
        done += hits
        assert_same(tables(root / "tiny"), reference)
        lines = root.with_suffix(".log").read_text().split()
        redone = lines.count("chunk") - ITEMS * UPDATES
        assert redone <= hits, f"{redone} updates redone after {hits} kills"
        assert not list((root / "tiny" / "checkpoints").glob("*"))
        assert not [path for path in root.rglob("*") if path.name.endswith(".aside")]
    return done, number


def test_ten_kills_some_of_them_within_writes_change_no_bit(zygote, whole, tmp_path):
    done, _ = killed_and_resumed(zygote, whole, tmp_path, kills=10, aimed=4, seed=0)
    assert done >= 10


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(1, 9))
def test_two_hundred_kills_change_no_bit(batch, zygote, whole, tmp_path):
    done, sweeps = killed_and_resumed(zygote, whole, tmp_path, kills=25, aimed=8, seed=batch)
    print(f"batch {batch}: {done} kills of {sweeps} sweeps")


@pytest.mark.slow
def test_of_two_sweeps_in_one_folder_one_writes_and_the_other_is_told(zygote, whole, tmp_path):
    told = 0
    for number in range(50):
        root = tmp_path / f"race{number}"
        logs = [root.with_suffix(f".{name}.log") for name in ("one", "other")]
        racing = [zygote.start(root, log) for log in logs]
        ended = [zygote.wait(pid) for pid in racing]
        assert min(ended) == 0
        texts = [log.read_text() for log in logs]
        refused = [text for text, status in zip(texts, ended, strict=True) if status]
        assert all("is writing there" in text for text in refused), refused
        assert_same(tables(root / "tiny"), whole[0])
        chunks = sum(text.split().count("chunk") for text in texts)
        assert chunks == ITEMS * UPDATES  # no run was trained twice
        told += len(refused)
    print(f"{told} of 50 races refused")
    assert told > 25


@pytest.mark.slow
def test_killing_the_command_and_its_worker_with_it_changes_no_bit(shared, tmp_path):
    """The real command: its worker notices, leaves, and lets the next one have the folder."""
    question = question_file(tmp_path, lanes=8, checkpoint_every=10)

    def start(root):
        return command(question, root, shared)

    finish(start(tmp_path / "first"))
    begun = time.monotonic()
    finish(start(tmp_path / "whole"))
    seconds = time.monotonic() - begun
    reference, chosen, kills = tables(tmp_path / "whole" / "tiny"), random.Random(3), 0
    for number in range(10):
        root = tmp_path / f"killed{number}"
        process = start(root)
        time.sleep(chosen.uniform(0.3, 1.0) * seconds)
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        finish(start(root))
        assert_same(tables(root / "tiny"), reference)
    print(f"{kills} kills of the command")
    assert kills >= 5
