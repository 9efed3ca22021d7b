"""What is a worker told? A folder, and which runs to train side by side there.

A job is plain numbers and names, so that it can be sent as one line of JSON, and nothing that could
run. Of each config only the values are sent; the worker validates them again.
"""

import json
from typing import Any, NamedTuple

from rl_surrogates.config import Config
from rl_surrogates.store.places import Place, place
from rl_surrogates.sweep.plan import Plan, ProgramPlan, WorkItem
from rl_surrogates.sweep.runs import Run


class Job(NamedTuple):
    """A work item, with everything that training and storing it needs."""

    folder: Place
    item: WorkItem
    program: ProgramPlan
    configs: dict[int, Config]  # of the settings of the item's runs
    parts: dict[str, str]  # table -> path of the part to write
    checkpoints: dict[str, dict[str, Any]]  # path -> entry in the manifest, the newest first
    checkpoint_every: int  # updates
    save_policies: bool
    versions: dict[str, str]
    tag: str = ""  # in the names of its checkpoints, where several workers may write some


def make_job(plan: Plan, item: WorkItem, store: Any) -> Job:
    """The job for `item` of `plan`, to be stored in the folder that `store` is open for."""
    item = item._replace(runs=tuple(item.runs))
    return Job(
        folder=store.path,
        item=item,
        program=plan.programs[item.program]._replace(runs=()),
        configs={run.setting: plan.settings[run.setting].config for run in item.runs},
        parts=store.part_paths(item.item),
        checkpoints=store.checkpoints(item.item),
        checkpoint_every=plan.question.execution.checkpoint_every,
        save_policies=plan.question.execution.save_policies,
        versions=store.versions,
    )


def to_line(job: Job) -> str:
    """A job as one line of JSON."""
    return json.dumps(
        {
            **job._asdict(),
            "folder": str(job.folder),
            "item": job.item._asdict(),
            "program": {**job.program._asdict(), "config": job.program.config.flat()},
            "configs": [[setting, config.flat()] for setting, config in job.configs.items()],
        }
    )


def from_line(line: str) -> Job:
    """The job of a line that `to_line` made."""
    told = json.loads(line)
    item, program = told["item"], told["program"]
    runs = tuple(Run(*run) for run in item["runs"])
    return Job(
        **{
            **told,
            "folder": place(told["folder"]),
            "item": WorkItem(**{**item, "runs": runs}),
            "program": ProgramPlan(
                **{
                    **program,
                    "config": Config.from_flat(program["config"]),
                    "objectives": tuple(program["objectives"]),
                    "runs": (),
                }
            ),
            "configs": {setting: Config.from_flat(flat) for setting, flat in told["configs"]},
        }
    )
