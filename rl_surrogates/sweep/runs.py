"""What is a run called, and how are a million of them held?

A run is a setting and a seed; its `run_id` is a hash of both, so that running again does only what
is missing. `Runs` is a sequence of runs that keeps, of each setting, only the hash of its config: a
run is made when it is asked for, and one with another seed costs one more hash of a few bytes.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rl_surrogates.config import Config, Setting

DIGITS = 16  # of a digest, hexadecimal


class Run(NamedTuple):
    """One training."""

    run_id: str
    setting: int
    seed: int


class Hashed(NamedTuple):
    """A setting, and the hash of its config: all of a run's name but the seed."""

    setting: int
    config: Any


class Runs(Sequence):
    """Runs of some settings with the same seeds; `order` numbers them, setting by setting."""

    def __init__(
        self, settings: Sequence[Hashed], seeds: range, order: Sequence[int] | None = None
    ) -> None:
        """All runs of `settings` with all `seeds`, or those that `order` names."""
        self.settings, self.seeds = settings, seeds
        self.order = range(len(settings) * len(seeds)) if order is None else order

    @classmethod
    def of(cls, settings: Iterable[Setting], seeds: range) -> "Runs":
        """All runs of these settings with these seeds."""
        return cls([Hashed(s.index, _hash(s.config)) for s in settings], seeds)

    def __len__(self) -> int:
        """How many runs."""
        return len(self.order)

    def __getitem__(self, at: int | slice) -> Any:
        """The run at a place, or the runs in a slice, which are not made yet."""
        if isinstance(at, slice):
            return Runs(self.settings, self.seeds, self.order[at])
        return self._run(self.order[at])

    def __iter__(self) -> Iterator[Run]:
        """The runs, one after the other."""
        return map(self._run, self.order)

    def __eq__(self, other: object) -> bool:
        """Equal runs in the same order, whatever holds them."""
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None

    def where(self, wanted: Callable[[Run], bool]) -> "Runs":
        """The runs of which `wanted` says so."""
        return Runs(self.settings, self.seeds, [n for n in self.order if wanted(self._run(n))])

    def _run(self, number: int) -> Run:
        at, seed = divmod(number, len(self.seeds))
        setting, config = self.settings[at]
        seed = self.seeds[seed]
        return Run(_named(config, seed), setting, seed)


def run_id(config: Config, seed: int) -> str:
    """Names a run by what decides it: the resolved config and the seed."""
    return _named(_hash(config), seed)


def digest(content: Any) -> str:
    """Names plain data by its content."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _hash(config: Config) -> Any:
    """The hash of `[config, seed]` as JSON, up to the seed."""
    return hashlib.sha256(f"[{json.dumps(config.flat(), sort_keys=True)}, ".encode())


def _named(config: Any, seed: int) -> str:
    whole = config.copy()
    whole.update(b"%d]" % seed)
    return whole.hexdigest()[:DIGITS]
