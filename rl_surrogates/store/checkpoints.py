"""How does the state of an unfinished work item become one file, and a state again?

    RLSCKPT1 | 8 bytes: length of the header | header, JSON | the arrays, one after the other

The header says of each array its name, type and shape, and holds what else is worth knowing: counts
as integers of any size, the names of the runs, versions. Equal content gives equal bytes. Nothing
in it can run: an array is a type out of `DTYPES`, a shape and plain bytes.

Not Orbax, which flax brings along. It writes a dozen files from threads of its own, under names
that differ from one save to the next: a manifest that is renamed once cannot vouch for them, a
failing disk cannot be rehearsed, and a reader hashes other bytes than those that are parsed. Of 39
bits flipped in its files it noticed 18 and returned wrong numbers for 3. One file, written as the
parts are, is verified by the same hash in the same manifest.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rl_surrogates.store.places import Place, StoreError

MAGIC = b"RLSCKPT1"
FORMAT = 1
DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    + ("float16", "float32", "float64")
}
Shapes = Mapping[str, tuple[tuple[int, ...], str]]  # name -> shape and type of an array


class Checkpoint(NamedTuple):
    """What was saved."""

    about: dict[str, Any]  # as JSON keeps it
    arrays: dict[str, np.ndarray]


def to_bytes(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """One file with `about`, which must survive JSON, and all `arrays`."""
    tree = [[name, str(array.dtype), list(array.shape)] for name, array in arrays.items()]
    header = {"format": FORMAT, "about": about, "arrays": tree}
    text = json.dumps(header, allow_nan=False).encode("ascii")
    plain = (np.ascontiguousarray(array, DTYPES[str(array.dtype)]) for array in arrays.values())
    return b"".join([MAGIC, len(text).to_bytes(8, "little"), text, *(a.tobytes() for a in plain)])


def read_about(path: Place, data: bytes) -> dict[str, Any]:
    """What a checkpoint says of itself; StoreError if it is none."""
    return _header(path, data)[0]["about"]


def from_bytes(path: Place, data: bytes, expected: Shapes) -> Checkpoint:
    """The checkpoint in these bytes, if its arrays are exactly the `expected` ones.

    Raises:
      StoreError: no checkpoint, or one of other arrays, shapes or types.
    """
    header, offset = _header(path, data)
    stored = [(name, (tuple(shape), dtype)) for name, dtype, shape in header["arrays"]]
    if stored != list(expected.items()):
        odd = _first_difference(stored, expected.items())
        raise StoreError(f"{path}: does not fit the program that is to continue it: {odd}")
    arrays = {}
    for name, (shape, dtype) in stored:
        count = math.prod(shape)
        array = np.frombuffer(data, DTYPES[dtype], count, offset).reshape(shape)
        arrays[name] = array.astype(dtype, copy=False)
        offset += array.nbytes
    return Checkpoint(header["about"], arrays)


def _header(path: Place, data: bytes) -> tuple[dict[str, Any], int]:
    """The header, once every size in it agrees with the file, and where the arrays begin."""
    begin = len(MAGIC) + 8
    offset = begin + int.from_bytes(data[len(MAGIC) : begin], "little")
    try:
        if not data.startswith(MAGIC) or offset > len(data):
            raise ValueError
        header = json.loads(data[begin:offset])
        sizes = [
            math.prod(_sizes(shape)) * DTYPES[dtype].itemsize
            for _, dtype, shape in header["arrays"]
        ]
        if header["format"] != FORMAT or offset + sum(sizes) != len(data):
            raise ValueError
        return {"about": dict(header["about"]), "arrays": list(header["arrays"])}, offset
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StoreError(f"{path}: damaged: not a checkpoint") from None


def _sizes(shape: Iterable[Any]) -> list[int]:
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError
    return list(shape)


def _first_difference(stored: Iterable, expected: Iterable) -> str:
    here, there = dict(stored), dict(expected)
    for name in dict.fromkeys([*there, *here]):
        if here.get(name) != there.get(name):
            return f"{name} is {here.get(name, 'missing')}, not {there.get(name, 'there')}"
    return "the order of its arrays"
