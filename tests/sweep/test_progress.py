"""How long a sweep still takes, on a clock that is set by hand."""

import pytest

from rl_surrogates.sweep import make_plan, progress
from rl_surrogates.sweep.progress import ACTING, Progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds; `clock.append(s)` sets it."""
    seconds = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: seconds[-1])
    return seconds


def chunk(item, update, steps):
    about = {"update": update, "steps": steps, "score": None, "diverged": 0}
    return {"event": "chunk", "item": item.item, **about}


def resumed(item, update, steps):
    return {"event": "resumed", "item": item.item, "update": update, "steps": steps}


def test_a_pass_more_over_the_data_takes_its_time_in_what_is_left(ask, clock):
    # Two programs of 192 steps (2 seeds x 96), with 1 and 16 epochs: 192 x 5 and 192 x 20 of work.
    plan = make_plan(ask({"ascent.num_epochs": [1, 16]}))
    first, second = plan.items()
    shown = Progress(plan, [first, second])
    assert ACTING == 4 and shown.total == 192 * 5 + 192 * 20 == 4800
    shown.begin(first)
    assert shown.cells()["left"] == ""
    shown.tell(resumed(first, 0, 0))
    shown.tell(chunk(first, 1, 32))  # waited for its compilation: no pace yet
    assert shown.cells()["left"] == "" and shown.cells()["done"] == "3%"  # 160 of 4800
    clock.append(108.0)
    shown.tell(chunk(first, 6, 160))  # 800 of work in 8 s
    assert shown.cells()["steps/s"] == "20"
    assert shown.cells()["left"] == "0:00:38"  # 3840 at 100 a second, where equal steps say 0:00:09
    shown.finish(first)
    shown.begin(second)
    shown.tell(resumed(second, 3, 96))  # half of it was there
    assert shown.cells()["done"] == "60%"  # 960 and 1920 of 4800
    assert shown.cells()["left"] == "0:00:19"


def test_away_from_a_terminal_a_line_every_ten_seconds_says_where_the_sweep_stands(
    ask, clock, capsys
):
    plan = make_plan(ask())
    items = plan.items()
    with Progress(plan, items) as shown:
        shown.begin(items[0])
        shown.tell(chunk(items[0], 1, 32))
        clock.append(105.0)
        shown.tell({**chunk(items[0], 2, 32), "score": 21.25, "diverged": 1})
        assert capsys.readouterr().err == ""  # five seconds later: too soon
        clock.append(116.0)
        shown.tell(chunk(items[0], 3, 32))
        assert capsys.readouterr().err == (
            "item 1 of 2: update 3 of 6, return 21.2 (IQM), 4 steps/s, 25% done, 0:01:12 left, "
            "0 diverged\n"
        )
    headings = [column.header for column in shown.table().columns]
    assert headings == [
        "item",
        "update",
        "return (IQM)",
        "steps/s",
        "done",
        "left",
        "diverged",
    ]
