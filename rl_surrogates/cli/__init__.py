"""The program `rl-surrogates`: run, sweep, resume, plan, status, report, export, render, list.

Exit status: 0 done, 2 bad input, 3 finished but some runs diverged or were given up, 130 and 143
after SIGINT and SIGTERM. What was done before an interruption is kept, and the same command, or
`resume`, goes on from there.
"""

import dataclasses
import itertools
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import tyro

from rl_surrogates.cli.stored import (
    BAD_INPUT,
    DIVERGED,
    DONE,
    Export,
    List,
    Render,
    Report,
    Status,
    Stored,
    show_results,
)
from rl_surrogates.config import (
    ConfigError,
    Problem,
    Question,
    load_question,
    question_of_plan,
    question_of_run,
)

if TYPE_CHECKING:  # nothing heavy is imported here, so that a worker starts before it is
    from rl_surrogates.store.places import Place

__all__ = ["BAD_INPUT", "DIVERGED", "DONE", "INTERRUPTED", "TERMINATED", "Export", "main"]

INTERRUPTED, TERMINATED = 130, 143

Inputs = tyro.conf.Positional[tuple[str, ...]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """What every command that trains may be told."""

    executor: str | None = None
    """Who trains: local (a worker process that may die without ending the sweep), inline (this
    process), ray or slurm; by default what the file says, or else local."""
    strict: bool = False
    """Refuse to continue results that other package versions began."""


@dataclasses.dataclass(frozen=True)
class Sweep(Training):
    """Answer questions: train what is missing, then show the table and write the report."""

    inputs: Annotated[Inputs, tyro.conf.arg(metavar="FILE.yaml... [PATH=VALUE...]")]
    """Question files, and values to use instead of theirs."""
    out: str = "results"
    """The folder that holds one folder per question, or a URL, such as s3://bucket/results."""
    yes: bool = False
    """Run however many runs it comes to."""

    def __call__(self) -> int:
        """Runs the questions one after the other."""
        files, overrides = split(self.inputs)
        questions = [load_question(file, overrides) for file in files]
        return answer(questions, self, overrides, self.out)


@dataclasses.dataclass(frozen=True)
class Run(Training):
    """Train one run file with several seeds: a question of one setting."""

    inputs: Annotated[Inputs, tyro.conf.arg(metavar="FILE.yaml... [PATH=VALUE...]")]
    """Run files, and values to use instead of theirs."""
    seeds: int = 8
    """How many seeds, from 0."""
    out: str = "results"
    """The folder that holds one folder per run file, or a URL, such as s3://bucket/results."""
    yes: bool = False
    """Run however many runs it comes to."""

    def __call__(self) -> int:
        """Runs the files one after the other."""
        files, overrides = split(self.inputs)
        questions = [question_of_run(file, self.seeds, overrides) for file in files]
        return answer(questions, self, overrides, self.out)


@dataclasses.dataclass(frozen=True)
class Resume(Training):
    """Go on with a sweep that was interrupted, from what its folder says."""

    folder: Stored

    yes: ClassVar[bool] = True

    def __call__(self) -> int:
        """Runs what is missing."""
        from rl_surrogates import store

        try:
            question = question_of_plan(store.read_plan(self.folder), self.folder)
            root = store.place(self.folder).parent
        except store.StoreError as error:
            print(error, file=sys.stderr)
            return BAD_INPUT
        return answer([question], self, [], root)


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


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    signal.signal(signal.SIGTERM, _terminate)
    commands = {"run": Run, "sweep": Sweep, "resume": Resume, "plan": Plan, "report": Report}
    commands |= {"status": Status, "export": Export, "render": Render, "list": List}
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            commands,
            prog="rl-surrogates",
            args=options_last(sys.argv[1:] if arguments is None else arguments, commands),
            config=(tyro.conf.FlagCreatePairsOff,),
        )
        return command()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interruption:
        print("\ninterrupted; what was done is kept, and the same command goes on", file=sys.stderr)
        return 128 + getattr(interruption, "signum", signal.SIGINT)


def options_last(arguments: list[str], commands: dict[str, type]) -> list[str]:
    """The same arguments, so that files and values may stand after options as well."""
    command = commands.get(next(iter(arguments), ""))
    if not command:
        return arguments
    fields = dataclasses.fields(command)
    alone = {f"--{field.name}" for field in fields if field.type is bool} | {"-h", "--help"}
    plain, options, rest = [], [], iter(arguments[1:])
    for text in rest:
        if text.startswith("-"):
            values = int(text not in alone and "=" not in text)
            options += [text, *itertools.islice(rest, values)]
        else:
            plain.append(text)
    return [arguments[0], *plain, *options]


def split(inputs: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Files, and the `path=value` overrides among the inputs."""
    overrides = [text for text in inputs if "=" in text and not Path(text).exists()]
    files = [text for text in inputs if text not in overrides]
    if not files:
        raise ConfigError([Problem("", 0, 0, "FILE", "no file given; name at least one YAML file")])
    return files, overrides


def answer(
    questions: list[Question], how: Sweep | Run | Resume, overrides: list[str], out: "str | Place"
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


def _terminate(signum: int, frame: object) -> None:
    raise SystemExit(TERMINATED)
