"""Commands that train nothing: they read a results folder, a stored policy or a table."""

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:  # nothing heavy is imported here, so that a worker starts before it is
    from rl_surrogates.store.places import Url

DONE, BAD_INPUT, DIVERGED = 0, 2, 3


Stored = Annotated[
    tyro.conf.Positional[str],
    tyro.conf.arg(
        metavar="FOLDER",
        help="The folder of one question, such as results/why_the_ratio, or its URL.",
    ),
]


@dataclasses.dataclass(frozen=True)
class Report:
    """Show the table of stored results, and write their report again."""

    folder: Stored

    def __call__(self) -> int:
        """Reads what is there, even where a sweep is not finished."""
        return show_results(self.folder)


@dataclasses.dataclass(frozen=True)
class Status:
    """Show how a sweep stands, from any machine that sees its folder, while it runs or after."""

    folder: Stored

    def __call__(self) -> int:
        """Reads the folder; writes and locks nothing."""
        from rl_surrogates import screen, store, sweep

        try:
            screen.show_status(sweep.status_of(self.folder))
        except store.StoreError as error:
            print(error, file=sys.stderr)
            return BAD_INPUT
        return DONE


@dataclasses.dataclass(frozen=True)
class Export:
    """Copy stored results into the format of another tool, or one run's policy into a file."""

    folder: Stored
    to: Literal["csv", "tensorboard", "wandb"] = "csv"
    """The format; the last two need an extra of the same name installed."""
    policy: str | None = None
    """A run's run_id: write its policy, for `load_policy` and `render`, and no table."""
    out: str | None = None
    """Where the copy goes: a folder, or a policy's file; by default `exports` in the folder."""

    def __call__(self) -> int:
        """Copies what is there, even where a sweep is not finished."""
        from rl_surrogates import store

        try:
            results = store.open_results(self.folder, partial=True)
            place = store.place_of_copy(results, self.policy or self.to, self.out)
            if self.policy:
                store.export_policy(results, self.policy, place)
            else:
                store.export(results, self.to, place)
        except store.StoreError as error:
            print(error, file=sys.stderr)
            return BAD_INPUT
        print(place)
        return DONE


@dataclasses.dataclass(frozen=True)
class Render:
    """Draw one episode of a policy as a GIF; needs the extra `render`."""

    policy: tyro.conf.Positional[Path]
    """A file that `save_policy` or `export --policy` wrote."""
    gif: tyro.conf.Positional[Path]
    """The file to write."""
    seed: int = 0
    """Decides where the episode begins."""
    steps: int = 200
    """Frames at most."""
    sampled: bool = False
    """Draw actions from the policy; they are the most probable ones otherwise."""

    def __call__(self) -> int:
        """Plays and draws."""
        import jax

        from rl_surrogates import rendering
        from rl_surrogates.store import StoreError, policies

        how = {"greedy": not self.sampled, "max_steps": self.steps}
        try:
            policy = policies.load_policy(self.policy)
            paid = rendering.render(policy, self.gif, jax.random.key(self.seed), **how)
        except (StoreError, ValueError, OSError) as error:
            print(error, file=sys.stderr)
            return BAD_INPUT
        print(f"{self.gif}: return {paid:g}")
        return DONE


@dataclasses.dataclass(frozen=True)
class List:
    """List what a config may name."""

    what: tyro.conf.Positional[Literal["objectives", "environments"]]
    """Which table."""

    def __call__(self) -> int:
        """Prints the table."""
        from rl_surrogates import screen

        screen.show_list(self.what)
        return DONE


def show_results(folder: "str | os.PathLike | Url") -> int:
    """Writes the report of a results folder and prints its table."""
    from rl_surrogates import report, screen, store

    try:
        results = store.open_results(folder, partial=True)
        page = report.write(folder)
    except store.StoreError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    screen.show_summary(report.summary(results), results.missing, page)
    return DIVERGED if (results.runs()["status"] != "done").any() else DONE
