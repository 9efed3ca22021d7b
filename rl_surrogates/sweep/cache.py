"""Where do compiled programs stay, so that a sweep that is started again need not compile?

jax keeps them in a folder if it is told one. A user's choice stands: `JAX_COMPILATION_CACHE_DIR`
names another folder, and `JAX_ENABLE_COMPILATION_CACHE=false` does without. Otherwise it is
`rl_surrogates` in the user's cache folder, open to that user alone: what lies there is run.
"""

import os
import stat
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

# By default jax keeps only what took a second to compile, and a sweep has several smaller programs.
SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": 0.1,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def keep_compilations() -> Path | None:
    """Turns on the cache of compiled programs; returns its folder, None where there is none."""
    if not jax.config.jax_enable_compilation_cache:
        return None
    if jax.config.jax_compilation_cache_dir:
        return Path(jax.config.jax_compilation_cache_dir)
    folder = private_folder()
    if folder:
        for name, value in SETTINGS.items():
            if name.upper() not in os.environ:
                jax.config.update(name, value)
        jax.config.update("jax_compilation_cache_dir", str(folder))
        compilation_cache.reset_cache()  # jax may have decided already that there is none
    return folder


def private_folder() -> Path | None:
    """The user's folder, made where it is missing; None if others could write there."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "rl_surrogates" / "compiled"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o022
        return folder if mine and private and os.access(folder, os.W_OK) else None
    except OSError:
        return None  # no home, or none that can be written: the sweep only compiles again
