"""What does a compiled program cost: to compile, to hold, to launch?

`operations` walks the optimised program that XLA prints. A loop counts its body as often as it
turns, a fusion counts once, what moves no data (tuples, bitcasts, constants) not at all. On an
accelerator it is the number of kernel launches; on a CPU, of pieces of work the runtime hands out.
"""

import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
LINE = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = .*?[\]\})] ([a-z][\w\-]*)\(")
CALLED = re.compile(r"\b(?:body|to_apply|calls|true_computation|false_computation)=%?([\w.\-]+)")
BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
TURNS = re.compile(r'known_trip_count"?:\{"n":"(\d+)"')
FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"}


class Ready(NamedTuple):
    """A contender that has been compiled."""

    run: Callable[[], Any]  # one run, waited for
    steps: int  # environment steps of one run, all lanes together
    compile_s: float = 0.0
    program_bytes: int = 0  # arguments, results and temporaries
    facts: dict[str, Any] = {}  # what else is known of it


def compile_(jitted: Any, *arguments: Any) -> tuple[Any, float]:
    """The compiled program, and seconds of tracing and compiling it."""
    start = time.perf_counter()
    program = jitted.lower(*arguments).compile()
    return program, time.perf_counter() - start


def held_bytes(program: Any) -> int:
    """Arguments, results and temporaries of a compiled program, each byte once."""
    size = program.memory_analysis()
    held = size.temp_size_in_bytes + size.argument_size_in_bytes + size.output_size_in_bytes
    return held - size.alias_size_in_bytes


def tree_bytes(tree: Any) -> int:
    """What the arrays of a tree, or of its shapes, hold."""
    leaves = jax.tree.leaves(jax.eval_shape(lambda x: jax.tree.map(_plain, x), tree))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def operations(text: str) -> int:
    """Operations of one turn of the dearest loop of a program: one update of a training."""
    return max((_counts(text)[1]).values(), default=0)


def _counts(text: str) -> tuple[dict[str, int], dict[str, int]]:
    """Operations of every computation, and of every body of the entry's loops."""
    bodies, entry, name = {}, "", ""
    for line in text.splitlines():
        if head := HEAD.match(line):
            name = head[2]
            entry = name if head[1] else entry
            bodies[name] = []
        elif name and (found := LINE.match(line)):
            bodies[name].append((found[1], line))
    known: dict[str, int] = {}
    loops = [CALLED.search(line)[1] for op, line in bodies.get(entry, []) if op == "while"]
    return known, {loop: _count(loop, bodies, known) for loop in loops}


def _count(name: str, bodies: dict[str, list], known: dict[str, int]) -> int:
    if name not in known:
        known[name] = sum(_cost(op, line, bodies, known) for op, line in bodies.get(name, []))
    return known[name]


def _cost(op: str, line: str, bodies: dict[str, list], known: dict[str, int]) -> int:
    if op in FREE:
        return 0
    if op == "while":
        turns = TURNS.search(line)
        return (int(turns[1]) if turns else 1) * _count(CALLED.search(line)[1], bodies, known)
    if op == "call":
        return _count(CALLED.search(line)[1], bodies, known)
    if op == "conditional":
        listed = BRANCHES.search(line)
        names = re.findall(r"[\w.\-]+", listed[1]) if listed else CALLED.findall(line)
        return 1 + max(_count(branch, bodies, known) for branch in names)
    return 1


def _plain(leaf: Any) -> Any:
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf
