"""Which programs does a question need, and which runs share a lane of which work item?

    setting    a point of the question: a whole config
    program    settings with equal static parts; one compilation. It holds all objectives among
               them and chooses by a traced index; an objective that costs more than the rest
               together has a program to itself
    run        a setting and a seed; its `run_id` is a hash of both, so that running again does
               only what is missing
    work item  up to `width` runs of one program, side by side; the last one is padded

The plan is a pure function of the question: nothing is compiled or written here.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rl_surrogates import objectives
from rl_surrogates.config import Config, Question, Setting
from rl_surrogates.sweep.runs import Run, Runs, digest

# Wider items gain little on a CPU, and a finished item is what an interruption cannot take back.
AUTO_LANES = 128


class ProgramPlan(NamedTuple):
    """One compilation."""

    index: int
    config: Config  # any of its settings: they agree in every static field
    objectives: tuple[str, ...]
    runs: Runs
    width: int  # lanes of its work items

    @property
    def digest(self) -> str:
        """Names the program by what decides it; how many runs it serves does not."""
        return digest([self.config.static(), list(self.objectives)])

    @property
    def steps(self) -> int:
        """Environment steps of each of its runs; what decides them is static."""
        return self.config.num_updates * self.config.num_envs * self.config.num_steps


class WorkItem(NamedTuple):
    """Runs that are trained side by side."""

    item: str
    program: int
    runs: Sequence[Run]
    width: int  # lanes of the program; those beyond the runs are padding


class Plan(NamedTuple):
    """What a question comes to."""

    question: Question
    settings: tuple[Setting, ...]
    programs: tuple[ProgramPlan, ...]

    @property
    def width(self) -> int:
        """Lanes of the widest program."""
        return max(program.width for program in self.programs)

    @property
    def runs(self) -> Runs:
        """Every run, program by program."""
        settings = [setting for program in self.programs for setting in program.runs.settings]
        return Runs(settings, self.programs[0].runs.seeds)

    def items(
        self, finished: Collection[str] = (), begun: Collection[Mapping[str, Any]] = ()
    ) -> list[WorkItem]:
        """Work items for the runs that are not `finished`, one width per program.

        Those that were `begun`, as their checkpoints say, come first in their program, with the
        runs and the width that they had: another width would give other bits.
        """
        items = []
        for program in self.programs:
            held = _begun(program, finished, begun)
            items += held
            taken = {run.run_id for item in held for run in item.runs}
            missing = program.runs
            if finished or taken:
                missing = missing.where(
                    lambda run, taken=taken: run.run_id not in finished and run.run_id not in taken
                )
            items += cut(missing, program.index, program.width)
        return items

    def steps(self, items: Iterable[WorkItem]) -> int:
        """Environment steps that the runs of these items take together."""
        return sum(self.programs[item.program].steps * len(item.runs) for item in items)

    def as_json(self) -> dict[str, Any]:
        """The plan as the store keeps it."""
        question = self.question
        return {
            "format": 1,
            "name": question.name,
            "description": question.description,
            "method": question.method,
            "metric": {"name": question.metric.name, "goal": question.metric.goal},
            "axes": {path: list(values) for path, values in question.axes.items()},
            "seeds": {"start": question.seeds.start, "count": question.seeds.count},
            "execution": question.execution.model_dump(),
            "settings": [
                {"index": s.index, "axes": dict(s.axes), "config": s.config.flat()}
                for s in self.settings
            ],
            "programs": [
                {"program": p.index, "objectives": list(p.objectives), "static": p.config.static()}
                for p in self.programs
            ],
            "items": [
                {"item": i.item, "program": i.program, "runs": [run.run_id for run in i.runs]}
                for i in self.items()
            ],
        }


def make_plan(question: Question, devices: int = 1) -> Plan:
    """Groups the runs of a question; every width is a multiple of `devices`."""
    settings = question.settings()
    groups: dict[str, list[Setting]] = {}
    for setting in settings:
        groups.setdefault(_shared_program(setting.config), []).append(setting)
    programs = tuple(
        _program(i, group, question, devices) for i, group in enumerate(groups.values())
    )
    return Plan(question, settings, programs)


def cut(runs: Sequence[Run], program: int, width: int) -> list[WorkItem]:
    """Work items of `width` lanes for these runs of a program, in order."""
    groups = [runs[first : first + width] for first in range(0, len(runs), width)]
    return [WorkItem(digest([r.run_id for r in group]), program, group, width) for group in groups]


def ceil_div(number: int, by: int) -> int:
    """`number / by`, rounded up."""
    return -(-number // by)


def _shared_program(config: Config) -> str:
    """What settings of one program agree in: the static part, and an objective too dear to share.

    A program evaluates every objective that it holds, for all of its lanes.
    """
    name = config.objective.name
    alone = objectives.find(name).dear
    return json.dumps([config.static(), name if alone else None], sort_keys=True)


def _program(index: int, group: list[Setting], question: Question, devices: int) -> ProgramPlan:
    seeds = range(question.seeds.start, question.seeds.start + question.seeds.count)
    names = tuple(dict.fromkeys(setting.config.objective.name for setting in group))
    runs = Runs.of(group, seeds)
    width = _width(len(runs), question.execution.lanes, devices)
    return ProgramPlan(index, group[0].config, names, runs, width)


def _width(runs: int, lanes: int | str, devices: int) -> int:
    """Lanes of the work items of a program, a multiple of `devices`."""
    if lanes == "auto":
        lanes = ceil_div(runs, ceil_div(runs, AUTO_LANES))  # items of equal size
    return ceil_div(min(lanes, runs), devices) * devices


def _begun(
    program: ProgramPlan, finished: Collection[str], begun: Collection[Mapping[str, Any]]
) -> list[WorkItem]:
    name = program.digest if begun else None
    entries = [entry for entry in begun if entry["program"] == name]
    if not entries:
        return []
    missing = {run.run_id: run for run in program.runs if run.run_id not in finished}
    items = []
    for entry in entries:
        if missing.keys() >= set(entry["runs"]):
            runs = tuple(missing.pop(run_id) for run_id in entry["runs"])
            items.append(WorkItem(entry["checkpoint"], program.index, runs, entry["width"]))
    return items
