"""Where do results live? One folder per sweep: Parquet parts, a plan, a provenance, and a manifest
that vouches for them.

writing  Store.open  Store.commit  check_writable  check_versions  collect_provenance
reading  open_results  Results
files    write_atomically  write_if_changed  StoreError  StoreWarning
"""

from rl_surrogates.store.files import StoreError, check_writable, write_atomically, write_if_changed
from rl_surrogates.store.provenance import collect_provenance
from rl_surrogates.store.reading import Results, open_results
from rl_surrogates.store.writing import Store, StoreWarning, check_versions

__all__ = [
    "Results",
    "Store",
    "StoreError",
    "StoreWarning",
    "check_versions",
    "check_writable",
    "collect_provenance",
    "open_results",
    "write_atomically",
    "write_if_changed",
]
