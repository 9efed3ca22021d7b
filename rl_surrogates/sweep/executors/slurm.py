"""SLURM through submitit: a job array, one work item per task.

What submitit stores for a task is a name, `Task` of this module, and one line of JSON. Before the
time limit, and where a task is preempted, SLURM sends a signal: the task saves its item, releases
the lease and is queued again, to go on from there. Answers are read from the leases and, where a
worker does not see those, from what it prints, and not from the files that submitit stores.
"""

import contextlib
import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from rl_surrogates.config import Execution
from rl_surrogates.store.places import Place
from rl_surrogates.sweep import leased
from rl_surrogates.sweep.executors.protocol import Event, needs, problem, refusing
from rl_surrogates.sweep.executors.remote import Remote

ARRAY = 1000  # tasks of an array: what SLURM allows unless it is told otherwise
FOLDER = ".submitit"  # scripts, logs and what submitit stores
ANSWER = "rl-surrogates: "  # what the line begins with in which a task prints its answer
REQUEUED = 100  # how often a task may reach its time limit and be queued again


class Slurm(Remote):
    """Sends errands to SLURM; with another `cluster` of submitit, to that."""

    cluster = "slurm"

    def __init__(self, execution: Execution) -> None:
        """Finds submitit and the commands of SLURM.

        Raises:
          ConfigError: one of them is missing.
        """
        super().__init__(execution)
        try:
            import submitit
        except ImportError:
            raise needs("slurm", "submitit") from None
        if self.cluster == "slurm" and not shutil.which("srun"):
            raise problem("executor", "no srun here; start the sweep where jobs can be submitted")
        self.submitit, self.execution, self.slots = submitit, execution, ARRAY

    def start(self, lines: list[str]) -> list[Any]:
        """One array for the errands that are waiting."""
        executor = self.submitit.AutoExecutor(
            logs(self.folder), cluster=self.cluster, slurm_max_num_timeout=REQUEUED
        )
        with refusing("executor"):
            executor.update_parameters(**parameters(self.execution))
            return executor.map_array(Task(), lines)

    def answer(self, handle: Any) -> Event | None:
        """What a task printed last of all; `lost` where it ended without a word."""
        if not handle.done():
            return None
        printed = (handle.stdout() or "").splitlines()
        if answers := [line for line in printed if line.startswith(ANSWER)]:
            with contextlib.suppress(ValueError):  # cut off while it was written
                return json.loads(answers[-1].removeprefix(ANSWER))
        said = (handle.stderr() or "").strip().splitlines()[-1:]
        return {"event": "lost", "message": " ".join([f"job {handle.job_id} ended", *said])}

    def cancel(self, handle: Any) -> None:
        """Takes a task out of the queue, or ends it."""
        handle.cancel(check=False)


def logs(results: Place) -> Path:
    """Where submitit keeps its files, which the machines of the cluster share.

    In the folder of the results; where those lie below a URL, in the current folder.
    """
    return results / FOLDER if isinstance(results, Path) else Path(FOLDER, results.name).absolute()


def parameters(execution: Execution) -> dict[str, Any]:
    """What submitit is told of an array."""
    told = {
        "name": "rl-surrogates",
        "timeout_min": execution.time_limit,
        "cpus_per_task": execution.cpus,
        "slurm_signal_delay_s": execution.signal_before,
        "slurm_partition": execution.partition,
        "slurm_gres": execution.gres,
        "slurm_array_parallelism": 0 if execution.workers == "auto" else execution.workers,
        "slurm_additional_parameters": {"requeue": True},  # also where a task is preempted
    }
    if execution.gpus and not execution.gres:
        told["gpus_per_node"] = execution.gpus
    return {name: value for name, value in told.items() if value}


class Task:
    """What SLURM runs: the work goes on in a thread, so that the main one hears the signal."""

    def __call__(self, line: str) -> str:
        """Does an errand."""
        self.stop, self.answers = threading.Event(), []
        self.thread = threading.Thread(target=self._work, args=(line,), daemon=True)
        self.thread.start()
        self._join()
        print(f"{ANSWER}{self.answers[0]}", flush=True)
        return self.answers[0]

    def checkpoint(self, line: str) -> Any:
        """Called in the main thread when the signal comes: saves, and asks to be queued again."""
        from submitit.helpers import DelayedSubmission

        self.stop.set()
        self._join()
        return DelayedSubmission(Task(), line)

    def _work(self, line: str) -> None:
        self.answers.append(leased.work(line, self.stop.is_set))

    def _join(self) -> None:
        while self.thread.is_alive():  # `join` would be entered twice where a signal comes
            time.sleep(0.05)
