"""Runs a question: what the store already holds is not run again, and each finished work item is
stored at once.

Interrupting loses the item that is running, and nothing else.
"""

import os
from collections.abc import Sequence

from rl_surrogates import store
from rl_surrogates.config import ConfigError, Problem, Question, load_question
from rl_surrogates.sweep.item import run_item
from rl_surrogates.sweep.lanes import Lanes, use_every_core
from rl_surrogates.sweep.plan import Plan, make_plan
from rl_surrogates.sweep.progress import Progress

MAX_RUNS = 100_000  # more than this is refused unless it was meant


def run_sweep(
    question: str | os.PathLike | Question,
    *,
    out: str | os.PathLike = "results",
    overrides: Sequence[str] = (),
    allow_large: bool = False,
    strict: bool = False,
) -> store.Results:
    """Trains every run of a question that is not already stored, and opens the results.

    Args:
      question: a YAML file, or a loaded `Question`.
      out: the results go to the folder `out/<name of the question>`.
      overrides: `dotted.path=value`, as on the command line; only with a file.
      allow_large: whether more than `MAX_RUNS` runs are meant.
      strict: refuse to continue results that other versions of the packages began.

    Raises:
      ConfigError: a question that cannot be run; nothing is written.
      StoreError: a place that cannot be written, or damaged results.
    """
    if not isinstance(question, Question):
        question = load_question(question, overrides)
    check_size(question, allow_large)
    store.check_writable(out, question.name)
    plan = make_plan(question, use_every_core())
    check_programs(plan)
    opened = store.Store.open(
        out, question.name, plan.as_json(), store.collect_provenance(overrides)
    )
    store.check_versions(opened, strict=strict)
    items = plan.items(opened.finished_runs())
    with Progress(plan, items) as progress:
        run_items(plan, items, opened, progress)
    return store.open_results(opened.path)


def run_items(plan: Plan, items: list, opened: store.Store, progress: Progress) -> None:
    """Trains the items in order; those of one program share its compilation."""
    lanes, compiled = None, None
    for item in items:
        if item.program != compiled:
            lanes, compiled = Lanes(plan.programs[item.program]), item.program
        tables = run_item(plan, item, lanes, progress.advance)
        opened.commit(item.item, *tables)
        progress.finish(item, tables.runs)


def check_programs(plan: Plan) -> None:
    """Refuses, before anything is compiled, a program whose parts do not fit each other."""
    for program in plan.programs:
        try:
            Lanes(program)
        except ValueError as error:
            field, _, message = str(error).partition(": ")
            raise ConfigError([Problem("", 0, 0, field, message)]) from error


def check_size(question: Question, allow_large: bool) -> None:
    """Refuses a question with an absurd number of runs, before it is expanded."""
    runs = question.size * question.seeds.count
    if runs > MAX_RUNS and not allow_large:
        message = (
            f"{question.size} settings x {question.seeds.count} seeds are {runs} runs, more than "
            f"{MAX_RUNS}; take fewer values, `method: random` with num_samples, or say --yes"
        )
        raise ConfigError([Problem("", 0, 0, "parameters", message)])
