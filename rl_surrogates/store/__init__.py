"""Where do results live? One folder per sweep: Parquet parts, checkpoints of what is unfinished, a
plan, a provenance, and a manifest that vouches for them. A folder may be a URL (`places`).

writing  locked  Leases  Store.open  Store.commit  write_parts  check_versions  collect_provenance
reading  open_results  read_plan  Results  export
files    write_atomically  write_if_changed  StoreError  StoreWarning
"""

from rl_surrogates.store.exports import EXPORTERS, export, export_policy, place_of_copy
from rl_surrogates.store.files import (
    StoreError,
    check_writable,
    make_folder,
    results_folder,
    write_atomically,
    write_if_changed,
)
from rl_surrogates.store.leases import Lease, Leases
from rl_surrogates.store.lock import locked
from rl_surrogates.store.parts import Parts, config_digest, stored_runs, write_parts
from rl_surrogates.store.places import place
from rl_surrogates.store.provenance import collect_provenance, own_versions
from rl_surrogates.store.reading import Results, open_results, read_plan
from rl_surrogates.store.writing import (
    CHECKPOINTS,
    Store,
    StoreWarning,
    check_versions,
    mixed,
)

__all__ = [
    "CHECKPOINTS",
    "EXPORTERS",
    "Lease",
    "Leases",
    "Parts",
    "Results",
    "Store",
    "StoreError",
    "StoreWarning",
    "check_versions",
    "check_writable",
    "collect_provenance",
    "config_digest",
    "export",
    "export_policy",
    "locked",
    "make_folder",
    "mixed",
    "open_results",
    "own_versions",
    "place",
    "place_of_copy",
    "read_plan",
    "results_folder",
    "stored_runs",
    "write_atomically",
    "write_if_changed",
    "write_parts",
]
