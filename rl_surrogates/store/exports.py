"""How do stored results get into other tools? CSV needs nothing more, the rest are extras.

    csv          runs.csv, curves.csv, evaluations.csv
    tensorboard  one folder of events per run            pip install 'rl-surrogates[tensorboard]'
    wandb        one offline run per run, nothing sent   pip install 'rl-surrogates[wandb]'

An export is a copy: nothing reads it back.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rl_surrogates.store import files
from rl_surrogates.store.places import StoreError, place
from rl_surrogates.store.reading import Results

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute a cell that begins so


def to_csv(results: Results, folder: Path) -> None:
    """The three tables as text; a text that a spreadsheet would compute is quoted."""
    tables = (results.runs(), results.curves(), results.evaluations())
    for name, table in zip(("runs", "curves", "evaluations"), tables, strict=True):
        for column in [column for column in table if _is_text(table[column])]:
            table[column] = [_harmless(value) for value in table[column]]
        files.write_atomically(folder / f"{name}.csv", table.to_csv(index=False).encode("utf-8"))


def to_tensorboard(results: Results, folder: Path) -> None:
    """The curves of each run, over environment steps."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise _missing("tensorboard", "tensorboardX") from None
    for run, points in _runs(results):
        with SummaryWriter(str(folder / run["run_id"])) as writer:
            writer.add_text("config", "\n".join(f"    {k}: {v}" for k, v in run.items()))
            for step, values in points:
                for name, value in values.items():
                    writer.add_scalar(name, value, step)


def to_wandb(results: Results, folder: Path) -> None:
    """The curves of each run, as offline runs; `wandb sync` sends them if that is wanted."""
    try:
        import wandb
    except ImportError:
        raise _missing("wandb", "wandb") from None
    for run, points in _runs(results):
        settings = {"project": results.plan["name"], "dir": str(folder), "mode": "offline"}
        session = wandb.init(id=run["run_id"], name=run["run_id"], config=run, **settings)
        for step, values in points:
            session.log({**values, "env_steps": step}, step=step)
        session.finish()


EXPORTERS: Mapping[str, Callable[[Results, Path], None]] = {
    "csv": to_csv,
    "tensorboard": to_tensorboard,
    "wandb": to_wandb,
}


def place_of_copy(results: Results, name: str, out: str | None) -> Path:
    """Where a copy goes: to `out`, or else to `exports/name` in the folder of the results.

    Raises:
      StoreError: that is a URL: other tools read folders.
    """
    where = place(out) if out else results.path / "exports" / name
    if not isinstance(where, Path):
        raise StoreError(f"{where}: a copy goes to a folder; say with --out to which")
    return where


def export(results: Results, to: str, folder: Path) -> None:
    """Copies results into `folder`, in the format of the exporter called `to`.

    Raises:
      StoreError: the folder cannot be written, or the format needs a package that is not there.
    """
    files.make_folder(folder)
    EXPORTERS[to](results, folder)


def export_policy(results: Results, run_id: str, path: Path) -> None:
    """Copies the policy of a run into a file of its own.

    Raises:
      StoreError: the run has no policy, or the file cannot be written.
    """
    from rl_surrogates.store import policies  # which needs networks; tables do not

    policy = results.policy(run_id)
    files.make_folder(path.parent)
    policies.save_policy(path, policy.config, policy)


def _runs(results: Results) -> Iterator[tuple[dict[str, Any], Iterator]]:
    """Each run's row, and its metrics by environment step; those without a value left out."""
    curves = dict(iter(results.curves().groupby("run_id", sort=False)))
    for run in results.runs().to_dict("records"):
        known = {name: value for name, value in run.items() if not pd.isna(value)}
        if run["run_id"] in curves:
            yield known, _points(curves[run["run_id"]])


def _points(curve: pd.DataFrame) -> Iterator[tuple[int, dict[str, float]]]:
    names = [name for name in curve if name not in ("run_id", "update", "env_steps")]
    for row in curve.to_dict("records"):
        yield row["env_steps"], {name: row[name] for name in names if math.isfinite(row[name])}


def _is_text(column: pd.Series) -> bool:
    return not (pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column))


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _missing(extra: str, package: str) -> StoreError:
    return StoreError(f"{package}: not installed; pip install 'rl-surrogates[{extra}]'")
