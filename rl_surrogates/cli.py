"""The program `rl-surrogates`: run, sweep, resume, plan, status, report, export, render, list.

Exit status: 0 done, 2 bad input, 3 finished but some runs diverged or were given up, 130 and 143
after SIGINT and SIGTERM. What was done before an interruption is kept, and the same command, or
`resume`, goes on from there.
"""

import dataclasses
import signal
import sys
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from rl_surrogates.config import (
    ConfigError,
    Problem,
    Question,
    load_question,
    question_of_plan,
    question_of_run,
)

DONE, BAD_INPUT, DIVERGED, INTERRUPTED, TERMINATED = 0, 2, 3, 130, 143

Inputs = tyro.conf.Positional[tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Answer questions: train what is missing, then show the table and write the report."""

    inputs: Annotated[Inputs, tyro.conf.arg(metavar="FILE.yaml... [PATH=VALUE...]")]
    """Question files, and values to use instead of theirs."""
    out: str = "results"
    """The folder that holds one folder per question."""
    executor: str | None = None
    """Who trains: local (a worker process that may die without ending the sweep), inline (this
    process), ray or slurm; by default what the file says, or else local."""
    yes: bool = False
    """Run however many runs it comes to."""
    strict: bool = False
    """Refuse to continue results that other package versions began."""

    def __call__(self) -> int:
        """Runs the questions one after the other."""
        files, overrides = split(self.inputs)
        questions = [load_question(file, overrides) for file in files]
        return answer(questions, self, overrides, self.out)


@dataclasses.dataclass(frozen=True)
class Run:
    """Train one run file with several seeds: a question of one setting."""

    inputs: Annotated[Inputs, tyro.conf.arg(metavar="FILE.yaml... [PATH=VALUE...]")]
    """Run files, and values to use instead of theirs."""
    seeds: int = 8
    """How many seeds, from 0."""
    out: str = "results"
    """The folder that holds one folder per run file."""
    executor: str | None = None
    """Who trains: local (a worker process that may die without ending the sweep), inline (this
    process), ray or slurm; by default what the file says, or else local."""
    strict: bool = False
    """Refuse to continue results that other package versions began."""
    yes: bool = False
    """Run however many runs it comes to."""

    def __call__(self) -> int:
        """Runs the files one after the other."""
        files, overrides = split(self.inputs)
        questions = [question_of_run(file, self.seeds, overrides) for file in files]
        return answer(questions, self, overrides, self.out)


@dataclasses.dataclass(frozen=True)
class Resume:
    """Go on with a sweep that was interrupted, from what its folder says."""

    folder: tyro.conf.Positional[Path]
    """The folder of one question, such as results/why_the_ratio."""
    executor: str | None = None
    """Who trains: local (a worker process that may die without ending the sweep), inline (this
    process), ray or slurm; by default what the file says, or else local."""
    strict: bool = False
    """Refuse to continue results that other package versions began."""

    yes: ClassVar[bool] = True

    def __call__(self) -> int:
        """Runs what is missing."""
        from rl_surrogates import store

        try:
            question = question_of_plan(store.read_plan(self.folder), str(self.folder))
        except store.StoreError as error:
            print(error, file=sys.stderr)
            return BAD_INPUT
        return answer([question], self, [], self.folder.parent)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Show what a question comes to, without running it."""

    inputs: Annotated[Inputs, tyro.conf.arg(metavar="FILE.yaml... [PATH=VALUE...]")]
    """Question files, and values to use instead of theirs."""
    yes: bool = False
    """Expand the question however many runs it comes to."""

    def __call__(self) -> int:
        """Prints one plan per file."""
        from rl_surrogates import screen, sweep

        files, overrides = split(self.inputs)
        for question in [load_question(file, overrides) for file in files]:
            sweep.check_size(question, self.yes)
            plan = sweep.make_plan(question, sweep.use_every_core())
            screen.show_plan(plan)
            sweep.check_memory(plan, self.yes)
        return DONE


@dataclasses.dataclass(frozen=True)
class Report:
    """Show the table of stored results, and write their report again."""

    folder: tyro.conf.Positional[Path]
    """The folder of one question, such as results/why_the_ratio."""

    def __call__(self) -> int:
        """Reads what is there, even where a sweep is not finished."""
        return show_results(self.folder)


@dataclasses.dataclass(frozen=True)
class Status:
    """Show how a sweep stands, from any machine that sees its folder, while it runs or after."""

    folder: tyro.conf.Positional[Path]
    """The folder of one question, such as results/why_the_ratio."""

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

    folder: tyro.conf.Positional[Path]
    """The folder of one question, such as results/why_the_ratio."""
    to: Literal["csv", "tensorboard", "wandb"] = "csv"
    """The format; the last two need an extra of the same name installed."""
    policy: str | None = None
    """A run's run_id: write its policy, for `load_policy` and `render`, and no table."""
    out: Path | None = None
    """Where the copy goes; by default `exports` in the folder."""

    def __call__(self) -> int:
        """Copies what is there, even where a sweep is not finished."""
        from rl_surrogates import store

        place = self.out or self.folder / "exports" / (self.policy or self.to)
        try:
            results = store.open_results(self.folder, partial=True)
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


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    commands = {"run": Run, "sweep": Sweep, "resume": Resume, "plan": Plan, "report": Report}
    commands |= {"status": Status, "export": Export, "render": Render, "list": List}
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            commands,
            prog="rl-surrogates",
            args=arguments,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        return command()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interruption:
        print("\ninterrupted; what was done is kept, and the same command goes on", file=sys.stderr)
        return 128 + getattr(interruption, "signum", signal.SIGINT)


def split(inputs: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Files, and the `path=value` overrides among the inputs."""
    overrides = [text for text in inputs if "=" in text and not Path(text).exists()]
    files = [text for text in inputs if text not in overrides]
    if not files:
        raise ConfigError([Problem("", 0, 0, "FILE", "no file given; name at least one YAML file")])
    return files, overrides


def answer(
    questions: list[Question], how: Sweep | Run | Resume, overrides: list[str], out: str | Path
) -> int:
    """Runs the questions, all of them checked before the first is trained."""
    from rl_surrogates import sweep

    status = DONE
    names = [how.executor or sweep.chosen_executor(each, "local") for each in questions]
    for name in names:
        sweep.check_executor(name)
    with sweep.early_worker(names[0]) as early:  # imports what follows, but beside it
        from rl_surrogates import screen, store

        try:
            for question in questions:
                sweep.check_size(question, how.yes)
                store.check_writable(out, question.name)
            for question, name in zip(questions, names, strict=True):
                results = sweep.run_sweep(
                    question,
                    out=out,
                    overrides=overrides,
                    allow_large=how.yes,
                    strict=how.strict,
                    executor=early or name,
                    on_plan=screen.show_plan,
                )
                early = None  # it is closed
                status = max(status, show_results(results.path))
        except store.StoreError as error:
            print(error, file=sys.stderr)
            return BAD_INPUT
    return status


def show_results(folder: Path) -> int:
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


def _terminate(signum: int, frame: object) -> None:
    raise SystemExit(TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
