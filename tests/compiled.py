"""What tests compile, once: a cache on disk, shared by the workers of a session."""

import jax
from jax.experimental.compilation_cache import compilation_cache


def share_compilations(tmp_path_factory, worker="master"):
    """Compiles equal programs once per session; returns what tells another process so."""
    base = tmp_path_factory.getbasetemp()
    folder = str((base if worker == "master" else base.parent) / "compiled")
    settings = {
        "jax_compilation_cache_dir": folder,
        "jax_persistent_cache_min_compile_time_secs": 0.1,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    return {name.upper(): str(value) for name, value in settings.items()}
