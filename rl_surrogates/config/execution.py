"""How the runs of a question are carried out; no result depends on it but by the width of the lanes
and the number of devices.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from rl_surrogates.config.fields import INT32_MAX, Count, Section
from rl_surrogates.config.problems import show


def _count_or_auto(value: Any) -> Any:
    if value == "auto" or (type(value) is int and 1 <= value <= INT32_MAX):
        return value
    raise ValueError(f"expected auto or a whole number >= 1, got {show(value)}")


def _word(value: str) -> str:
    """Text that becomes part of a line of a batch script."""
    if not re.fullmatch(r"[A-Za-z0-9._:,=()/-]{0,200}", value, re.ASCII):
        raise ValueError(f"expected letters, digits and . _ : , = ( ) / -, got {show(value)}")
    return value


def _address(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9.-]{1,253}:\d{1,5}", value, re.ASCII):
        raise ValueError(f"expected host:port of a running Ray cluster, got {show(value)}")
    return value


CountOrAuto = Annotated[Literal["auto"] | int, PlainValidator(_count_or_auto)]
Word = Annotated[str, AfterValidator(_word)]


class Execution(Section):
    """Who trains, how much at a time, and where.

    `workers`, `cpus` and `gpus` are read by `ray` and `slurm`; `address` by `ray`; what stands
    below it by `slurm`.
    """

    executor: Literal["auto", "local", "inline", "ray", "slurm"] = "auto"
    lanes: CountOrAuto = "auto"
    checkpoint_every: Count = 50  # updates
    save_policies: bool = False  # the last one of every run, a few ten kB each for small networks
    devices: CountOrAuto = "auto"  # over which a worker spreads the lanes of an item
    workers: CountOrAuto = "auto"  # items that are trained at a time
    cpus: Count = 1  # cores of a worker
    gpus: Annotated[int, Field(ge=0, le=64)] = 0  # accelerators of a worker
    address: Annotated[str, AfterValidator(_address)] = ""  # empty: a cluster is started here
    partition: Word = ""
    gres: Word = ""  # instead of `gpus`, as sbatch takes it
    time_limit: Count = 60  # minutes
    signal_before: Annotated[int, Field(ge=1, le=86400)] = 90  # seconds before the time limit
