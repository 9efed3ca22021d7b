"""What does the bookkeeping of a very large sweep cost, and does it lose or double anything?

    python -m benchmarks.simulate_scale --workers 1000 --settings 10000 --seeds 100

The planner, the leases, the parts and the manifest are the real ones, on a real folder; the clock
and the training are not. A training is a wait of random length that beats its lease and notes how
far it is. Workers are lost at a rate per hour: of five, four are dead, and one was only cut off and
comes back to find its item taken. One driver lists what is finished, as in `sweep.engine`.
"""

import argparse
import math
import resource
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.simulation import Simulation
from rl_surrogates import store
from rl_surrogates.config import Question, make_question
from rl_surrogates.store import Store, manifest
from rl_surrogates.sweep import make_plan
from rl_surrogates.sweep.plan import Plan


def question_of(options: argparse.Namespace) -> Question:
    """Settings of four objectives, with as many learning rates as that takes."""
    rates = [1e-5 * (1 + i / 100) for i in range(math.ceil(options.settings / 4))]
    names = ["policy_gradient", "importance_sampled", "ppo_clip", "spo"]
    parameters = {
        "objective.name": {"values": names[: min(4, options.settings)]},
        "ascent.learning_rate": {"values": rates},
    }
    return make_question(
        {
            "name": "simulated",
            "parameters": parameters,
            "seeds": {"count": options.seeds},
            "execution": {"lanes": options.lanes},
        }
    )


def simulate(options: argparse.Namespace, root: Path) -> tuple[Simulation, list[tuple[str, str]]]:
    """Plans, simulates, and looks at what is stored; the figures, name by name."""
    start = time.perf_counter()
    plan = make_plan(question_of(options))
    planned = time.perf_counter() - start
    with_items = plan.as_json()
    made_by = {"versions": {"rl_surrogates": "0.1.0", "jax": "0.10.2", "gymnax": "1.0.1"}}
    opened = Store.open(root, "simulated", with_items, made_by)
    simulation = Simulation(plan, opened, options)
    total = time.perf_counter() - start
    begun = time.perf_counter(), time.process_time()
    seconds = simulation.run()
    real, busy = time.perf_counter() - begun[0], time.process_time() - begun[1]
    figures = [
        ("runs, in work items", f"{len(plan.runs):,} in {len(simulation.finished):,}"),
        ("planned in", f"{planned:.1f} s; with the items, written as plan.json, {total:.1f} s"),
        ("simulated", f"{seconds / 3600:.2f} h, in {real:.0f} s, {busy:.0f} of the processor"),
        ("peak memory", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"),
    ]
    return simulation, figures + lost_and_taken(simulation, seconds) + stored(simulation)


def lost_and_taken(simulation: Simulation, seconds: float) -> list[tuple[str, str]]:
    """What losses cost, and how busy the driver was."""
    driver = sum(
        sum(simulation.watch.seconds[name]) for name in ("hand out (driver)", "list (driver)")
    )
    counts = [(name, f"{count:,}") for name, count in sorted(simulation.counts.items())]
    share = simulation.again / max(simulation.trained, 1e-9)
    items = len(simulation.finished)
    return [
        *counts,
        ("training done twice", f"{share:.2%} of all"),
        (
            "driver busy",
            f"{driver / seconds:.1%} of the time, {1e3 * driver / items:.1f} ms an item",
        ),
        ("items a second that one driver can serve", f"{items / driver:,.0f}"),
    ]


def stored(simulation: Simulation) -> list[tuple[str, str]]:
    """The files, the time to list them, and whether each run is there once."""
    folder, plan = simulation.opened.path, simulation.plan
    kinds = {"manifest.json": "manifest.json", "segments": "segments/*", "plan.json": "plan.json"}
    sizes = {
        name: sum(path.stat().st_size for path in folder.glob(pattern)) / 2**20
        for name, pattern in kinds.items()
    }
    start = time.perf_counter()
    items = manifest.items(manifest.read_manifest(folder))
    listing = time.perf_counter() - start
    expected = {item.item for item in plan.items()}
    doubled = sum(count > 1 for count in simulation.finished.values())
    figures = [(f"size of {name}", f"{size:.2f} MiB") for name, size in sizes.items()]
    figures += [
        ("time to list", f"{listing:.2f} s"),
        ("items lost", str(len(expected - items.keys()))),
        ("items doubled", str(doubled + len(items.keys() - expected))),
    ]
    return figures + (opened_again(folder, plan) if simulation.options.parts else [])


def opened_again(folder: Path, plan: Plan) -> list[tuple[str, str]]:
    """The same, run by run, from the parts themselves."""
    start = time.perf_counter()
    results = store.open_results(folder)
    opening = time.perf_counter() - start
    ids = results.runs()["run_id"]
    reading = time.perf_counter() - start - opening
    there = set(ids)
    return [
        ("open_results, all files verified", f"{opening:.1f} s"),
        ("the table of runs", f"{reading:.1f} s"),
        ("runs lost", str(sum(run.run_id not in there for run in plan.runs))),
        ("runs doubled", str(len(ids) - len(there))),
    ]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.simulate_scale", description=__doc__)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--settings", type=int, default=10_000, help="a multiple of 4, or less")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--lanes", type=int, default=128, help="runs of one work item")
    parser.add_argument("--minutes", type=float, default=10.0, help="that an item takes, mean")
    parser.add_argument("--loss", type=float, default=0.05, help="share of workers lost an hour")
    parser.add_argument("--parts", action="store_true", help="write the parts, and read them again")
    parser.add_argument("--seed", type=int, default=0, help="of the durations and the losses")
    parser.add_argument("--folder", type=Path, help="where to; a temporary one by default")
    return parser.parse_args(arguments)


def main() -> None:
    """Simulates, prints two tables, and removes what was written."""
    options = parse()
    root = Path(tempfile.mkdtemp(prefix="simulated", dir=options.folder))
    try:
        simulation, figures = simulate(options, root)
        for name, figure in figures:
            print(f"{name:<55} {figure}")
        print(f"\n{'real time of one call, ms':<30}{'calls':>10}{'mean':>9}{'99 %':>9}{'max':>9}")
        for name, calls, *times in simulation.watch.rows():
            print(f"{name:<30}{calls:>10,}" + "".join(f"{each:>9.2f}" for each in times))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
