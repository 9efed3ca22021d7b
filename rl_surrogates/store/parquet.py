"""How does a table become bytes, the same bytes for the same table, and a table again?

    runs          one row per run: what it was, how it ended, and every leaf of its config under
                  its dotted path
    curves        one row per run and update; metrics in float32
    evaluations   one row per evaluation episode

A value that no Parquet column can share with its neighbours (a list, or text beside numbers) is
stored as JSON text.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rl_surrogates.store.places import Place, StoreError

Content = (
    pd.DataFrame | Mapping[str, Sequence] | None
)  # a table as it is handed over; None has no rows

RUNS = {
    "run_id": pa.string(),
    "item": pa.string(),
    "lane": pa.int32(),
    "width": pa.int32(),
    "seed": pa.int64(),
    "setting": pa.int32(),
    "status": pa.string(),  # done, diverged or failed
    "diverged_at": pa.int64(),  # the first update with a loss or parameter that is not finite; null
    "wall_s": pa.float64(),
    "device": pa.string(),
}
CURVES = {"run_id": pa.string(), "update": pa.int64(), "env_steps": pa.int64()}
EVALUATIONS = {
    "run_id": pa.string(),
    "env_steps": pa.int64(),
    "mode": pa.string(),  # greedy or sampled
    "episode": pa.int32(),
    "return": pa.float32(),
    "length": pa.int32(),
}
SMALL = 1_000_000  # bytes of a part
NARROW = 65_536  # bytes of a table
FIXED = {"runs": RUNS, "curves": CURVES, "evaluations": EVALUATIONS}


def to_table(table: str, content: Content) -> pa.Table:
    """`content` with the columns and types of the table called `table`.

    Raises:
      ValueError: a column is missing, or its values do not have its type.
    """
    fixed = FIXED[table]
    if content is None or len(content) == 0:
        return pa.table({name: pa.array([], kind) for name, kind in fixed.items()})
    missing = [name for name in fixed if name not in content and name != "diverged_at"]
    if missing:
        raise ValueError(f"the table of {table} lacks the columns {', '.join(missing)}")
    rows = len(content["run_id"])
    columns = {}
    for name in [*fixed, *(name for name in content if name not in fixed)]:
        values = content[name] if name in content else [None] * rows
        columns[name] = _column(table, name, values, fixed.get(name))
    return pa.table(columns)


def to_bytes(table: pa.Table) -> bytes:
    """Parquet; equal tables give equal bytes."""
    # Where a column has few rows, its dictionary is all there is to compress, and starting to
    # decompress one column after the other takes longer than reading them.
    compression = "zstd" if table.nbytes > NARROW else "none"
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=compression, store_schema=False)
    return sink.getvalue().to_pybytes()


def from_bytes(path: Place, data: bytes, columns: Iterable[str] | None = None) -> pa.Table:
    """The table in the part `path`, or those of its `columns` that it has."""
    file = _open(path, data)
    present = file.schema_arrow.names
    wanted = None if columns is None else [c for c in columns if c in present]
    # Handing a small part to other threads takes longer than reading it.
    return file.read(columns=wanted, use_threads=len(data) > SMALL)


def columns_of(path: Place, data: bytes) -> list[str]:
    """The names of the columns, without reading them."""
    return _open(path, data).schema_arrow.names


def join(tables: list[pa.Table]) -> pa.Table:
    """The rows of all tables; a column that one of them lacks is null there."""
    schemas = list(dict.fromkeys(table.schema for table in tables))  # few, however many tables
    names = dict.fromkeys(name for schema in schemas for name in schema.names)
    for name in names:
        kinds = [schema.field(name) for schema in schemas if name in schema.names]
        if not _agree(kinds):
            tables = [_as_text(table, name) for table in tables]
    return pa.concat_tables(tables, promote_options="permissive")


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """The table with NumPy columns, `diverged_at` as a nullable integer."""
    frame = table.to_pandas()
    if "diverged_at" in frame:
        frame["diverged_at"] = table["diverged_at"].to_pandas(
            types_mapper={pa.int64(): pd.Int64Dtype()}.get
        )
    return frame


def _open(path: Place, data: bytes) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path}: damaged: not a Parquet file") from error


def _column(table: str, name: str, values: Sequence, kind: pa.DataType | None) -> pa.Array:
    try:
        if table == "curves" and kind is None:
            return pa.array(np.asarray(values, np.float32))
        if kind == pa.string():
            return pa.array(np.asarray(values, object), kind, from_pandas=True)
        if kind is not None and name != "diverged_at":
            return pa.array(np.asarray(values)).cast(kind)
        plain = [_plain(value) for value in values]
        if name == "diverged_at":
            plain = [None if value is None else int(value) for value in plain]
        return pa.array(plain, kind) if kind is not None else _inferred(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError) as error:
        raise ValueError(f"the table of {table}: column {name}: {error}") from error


def _plain(value: Any) -> Any:
    """A Python scalar; None for what is missing, JSON text for a list or a mapping."""
    if isinstance(value, (list, tuple, dict, np.ndarray)):
        return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value)
    if isinstance(value, np.generic):
        value = value.item()
    return None if value is pd.NA or value is pd.NaT or value != value else value


def _inferred(plain: list) -> pa.Array:
    try:
        return pa.array(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array(
            [None if value is None else json.dumps(value) for value in plain], pa.string()
        )


def _agree(fields: list[pa.Field]) -> bool:
    try:
        pa.unify_schemas([pa.schema([field]) for field in fields], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True


def _as_text(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names or pa.types.is_string(table.schema.field(name).type):
        return table
    index = table.column_names.index(name)
    return table.set_column(index, name, pc.cast(table[name], pa.string()))
