"""A worker on any machine: one job, under a lease, told to whoever reads the results folder.

What a worker is sent is one line of JSON (`errand`), and what it does is seen in the lease of its
item (`held`), so that nothing has to be open between it and the process that drives the sweep.

A worker that takes over an item goes on from the checkpoints that its last holder reported, and one
that finds the item finished says so, whoever finished it.
"""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

from rl_surrogates.store import Lease, Leases, StoreError, manifest, own_versions
from rl_surrogates.store.files import is_folder
from rl_surrogates.store.places import Place, place
from rl_surrogates.sweep import cache, session, worker
from rl_surrogates.sweep import job as jobs
from rl_surrogates.sweep.held import PAUSE, Held
from rl_surrogates.sweep.job import Job
from rl_surrogates.sweep.spread import use_every_core

Event = dict[str, Any]
PROGRAMS = worker.Programs()  # of this process: the next job is likely to be of the same program


def errand(job: Job, submission: str, token: str, devices: int) -> str:
    """A job as the one line of JSON that a worker is sent."""
    told = {"job": jobs.to_line(job), "submission": submission, "session": token}
    about = {"folder": str(job.folder), "versions": job.versions, "devices": devices}
    return json.dumps({**told, **about})


def work(line: str, stopping: Callable[[], bool] = lambda: False) -> str:
    """Does an errand; the event that ended it, as JSON."""
    told = json.loads(line)
    cache.keep_compilations()
    if message := unfit(told):
        return json.dumps({"event": "refused", "message": message})
    folder = place(told["folder"])

    def asked() -> bool:
        return stopping() or not session.lasts(folder)

    leases, job = Leases(folder), jobs.from_line(told["job"])
    while not (lease := leases.claim(job.item.item)):
        if asked():
            return json.dumps({"event": "stopped"})
        time.sleep(PAUSE)
    with Held(leases, lease) as held:
        return json.dumps(perform(job, told, held, asked))


def unfit(told: dict[str, Any]) -> str:
    """Why this process cannot do an errand; empty where it can."""
    here, folder = f"the worker on host {socket.gethostname()!r}", place(told["folder"])
    found = use_every_core(told["devices"])  # before anything else starts jax
    own = own_versions()
    for name, version in told["versions"].items():
        if own.get(name) != version:
            return f"{here} has {name} {own.get(name)}, the sweep is driven with {version}"
    try:
        if not is_folder(folder):
            return f"{here} does not see {folder}; take a folder that all machines share"
        if not session.sees(folder, told["session"]):
            return f"{here} sees another folder as {folder}; take one that all machines share"
    except StoreError as error:  # of a URL: no backend there, or no right to read
        return f"{here}: {error}"
    if found != told["devices"]:
        return f"{here} has {found} devices, the sweep is planned for {told['devices']}"
    return ""


def perform(job: Job, told: dict[str, Any], held: Held, asked: Callable[[], bool]) -> Event:
    """Trains a job, reports on the way, and gives the event that ended it."""
    about = {"submission": told["submission"], "of": job.program.config.num_updates}
    ended = held.report.get("ended") or {}
    if ended.get("event") == "finished" and sound(job.folder, ended["entries"]):
        held.note(**about)
        return ended
    held.begin(**about)
    mine = tagged(job, held.lease, told["devices"])
    event: Event = {"event": "stopped"}
    for event in worker.perform(mine, PROGRAMS, lambda: held.lost or asked()):
        held.tell(event)
    if held.lost:
        event = {"event": "lost", "message": f"{job.item.item} was taken over"}
    held.note(ended=event)
    return event


def tagged(job: Job, lease: Lease, devices: int) -> Job:
    """The job with names that nobody else writes, and with the checkpoints last reported."""
    parts = {
        table: path.replace(f".{table}.", f".{lease.token}.{table}.")
        for table, path in job.parts.items()
    }
    own = {"program": job.program.digest, "width": job.item.width, "devices": devices}
    reported = {
        path: entry
        for path, entry in (lease.report.get("checkpoints") or {}).items()
        if {key: entry[key] for key in own} == own
    }
    known = {**job.checkpoints, **reported}
    newest_first = sorted(known, key=lambda path: int(path.split(".")[1]), reverse=True)
    checkpoints = {path: known[path] for path in newest_first}
    return job._replace(tag=lease.token, parts=parts, checkpoints=checkpoints)


def sound(folder: Place, entries: manifest.Files) -> bool:
    """Whether the files are there, and what they are said to be."""
    try:
        return all(manifest.read_listed(folder, entries, path) for path in entries)
    except StoreError:
        return False
