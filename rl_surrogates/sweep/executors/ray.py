"""Ray Core tasks: on a cluster by its address, or on one that is started on this machine.

A task is `leased.work`, a function of this package, on one line of JSON: nothing of ours is
pickled. Ray itself tries nothing again: the driver sends an item out anew, from its last
checkpoint. Calls to a cluster carry a token; there is no dashboard and no usage statistics.
"""

import json
import os
import secrets
import socket
import sys
from typing import Any

from rl_surrogates.config import Execution
from rl_surrogates.sweep import leased
from rl_surrogates.sweep.executors.protocol import Event, needs, problem, refusing
from rl_surrogates.sweep.executors.remote import Remote

PATIENCE = 10.0  # seconds in which a cluster has to answer
SETTINGS = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
LOWEST = (2, 52)  # the first version with tokens
QUIET = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}


class Ray(Remote):
    """Sends errands to a Ray cluster."""

    def __init__(self, execution: Execution) -> None:
        """Connects to the cluster, or starts one.

        Raises:
          ConfigError: Ray is not installed, or the cluster cannot be reached or cannot hold one
            worker.
        """
        super().__init__(execution)
        self.ray = imported()
        self.own = not self.ray.is_initialized()
        if execution.address:
            self._connect(execution.address)
        elif self.own:  # else whoever connected this process meant that cluster
            self._start_here(execution)
        # An accelerator's memory is the workers': this process only asks for names.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        room = self.ray.cluster_resources()
        shares = [room.get("CPU", 0) // execution.cpus]
        shares += [room.get("GPU", 0) // execution.gpus] if execution.gpus else []
        if not (fits := int(min(shares))):
            self.close()
            raise problem("cpus", f"a worker needs {execution.cpus} cores and {execution.gpus} "
                          f"accelerators, and the cluster has {room.get('CPU', 0):g} and "
                          f"{room.get('GPU', 0):g}")  # fmt: skip
        # Where the cluster keeps the number of workers, the next task waits there for its turn.
        bounded = execution.address and execution.workers != "auto"
        self.slots = min(fits, execution.workers) if bounded else 2 * fits
        self.task = self.ray.remote(
            num_cpus=execution.cpus, num_gpus=execution.gpus, max_retries=0
        )(leased.work)

    def start(self, lines: list[str]) -> list[Any]:
        """One task per errand."""
        return [self.task.remote(line) for line in lines]

    def answer(self, handle: Any) -> Event | None:
        """What a task returned; `lost` where it or its worker is gone."""
        if not self.ray.wait([handle], timeout=0)[0]:
            return None
        try:
            return json.loads(self.ray.get(handle))
        except self.ray.exceptions.RayTaskError as error:
            if "No module named 'rl_surrogates" in str(error):
                return {"event": "refused", "message": "a worker has no package rl_surrogates"}
            return {"event": "failed", "traceback": str(error)}
        except self.ray.exceptions.RayError as error:
            return {"event": "lost", "message": str(error).partition("\n")[0]}

    def wait(self, handles: list[Any], seconds: float) -> None:
        """Until a task ends, or so long."""
        self.ray.wait(handles, timeout=seconds)

    def cancel(self, handle: Any) -> None:
        """Ends the worker of a task."""
        self.ray.cancel(handle, force=True)

    def close(self) -> None:
        """Ends the tasks, and the connection or the cluster if they were made here."""
        super().close()
        if self.own:
            self.ray.shutdown()

    def _connect(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise problem("address", f"no Ray cluster answers at {address}: {error}") from error
        with refusing("address"):
            try:
                self.ray.init(address=address, **QUIET)
            except ConnectionError as error:
                said = str(error).partition("\n")[0]
                hint = "is that Ray, and is its token in RAY_AUTH_TOKEN?"
                raise ConnectionError(f"{said}; {hint}") from error

    def _start_here(self, execution: Execution) -> None:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        workers = None if execution.workers == "auto" else execution.workers
        with refusing("executor"):
            self.ray.init(
                address="local",
                num_cpus=workers and workers * execution.cpus,
                num_gpus=workers and execution.gpus and workers * execution.gpus or None,
                **QUIET,
            )


def imported() -> Any:
    """The package, with what is to hold set before it is imported: it is read then, and once."""
    before = sys.modules.get("ray")
    if before and os.environ.get("RAY_AUTH_MODE") != "token" and not before.is_initialized():
        raise problem("executor", "ray was imported without RAY_AUTH_MODE=token; set it before")
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise needs("ray", "ray") from None
    if tuple(int(part) for part in ray.__version__.split(".")[:2]) < LOWEST:
        install = "pip install --upgrade 'rl-surrogates[ray]'"
        raise problem("executor", f"ray {ray.__version__} knows no tokens: {install}")
    return ray
