"""What made these results: which code, which packages, which machine, which random numbers?

No clock, no command line, no host or user name. The environment is recorded by allow-list, and what
looks like a secret is not recorded at all.
"""

import functools
import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PACKAGES = ("jax", "jaxlib", "gymnax", "optax", "flax", "numpy", "rl-surrogates")
DECISIVE = (
    "jax",
    "jaxlib",
    "gymnax",
    "optax",
    "flax",
    "rl-surrogates",
)  # another version, other numbers
ALLOWED = re.compile(r"JAX_\w+|XLA_FLAGS", re.ASCII)
SECRET = re.compile(r".*_KEY|.*(TOKEN|SECRET|PASSWORD).*", re.IGNORECASE | re.DOTALL)
REDACTED = "(redacted)"


def collect_provenance(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """What `provenance.json` holds; starts jax if it was not started.

    Args:
      overrides: `dotted.path=value` of the command line; nothing else of it is recorded.
    """
    return {
        "format": 1,
        "git": _git_state(),
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in PACKAGES}},
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "device": _device(),
        "environment": _environment(os.environ),
        "prng": _prng(),
        "overrides": [_override(text) for text in overrides],
    }


def versions_of(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What must agree between the parts of one result: packages, and a hash of the generator."""
    versions = provenance.get("versions", {})
    decisive = {name: str(versions[name]) for name in DECISIVE if name in versions}
    if "prng" not in provenance:
        return decisive
    text = json.dumps(provenance["prng"], sort_keys=True)
    return {**decisive, "prng": hashlib.sha256(text.encode()).hexdigest()[:8]}


@functools.cache
def own_versions() -> dict[str, str]:
    """`versions_of` this process."""
    return versions_of({"versions": {p: _version(p) for p in PACKAGES}, "prng": _prng()})


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        if package != "rl-surrogates":
            return None
        from rl_surrogates import __version__  # run from its source folder, not installed

        return __version__


def _device() -> dict[str, Any]:
    import jax

    device = jax.devices()[0]
    return {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()}


def _prng() -> dict[str, Any]:
    """Three numbers and two keys that change if the generator does, and what chooses it."""
    import jax

    uniform, split = _draws()()
    return {
        "implementation": str(jax.random.key_impl(jax.random.key(0))),
        "jax_threefry_partitionable": bool(jax.config.jax_threefry_partitionable),
        "uniform": uniform.tolist(),
        "split": split.tolist(),
    }


@functools.cache
def _draws() -> Callable:
    """Both draws as one program: every start waits for its compilation."""
    import jax

    def draw() -> tuple[jax.Array, jax.Array]:
        key = jax.random.key(0)
        return jax.random.uniform(key, (3,)), jax.random.key_data(jax.random.split(key, 2))

    return jax.jit(draw)


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: REDACTED if SECRET.fullmatch(name) else _without_login(value)
        for name, value in sorted(environment.items())
        if ALLOWED.fullmatch(name)
    }


def _override(text: str) -> str:
    path, equals, value = text.partition("=")
    return f"{path}={REDACTED}" if equals and SECRET.fullmatch(path) else _without_login(text)


def _without_login(text: str) -> str:
    """`text` with `user:password@` removed from every address in it."""
    return re.sub(r"://[^/\s@]*@", "://", text)


def _git_state() -> dict[str, Any] | None:
    """Commit, whether tracked files differ from it, and remote.

    Of the repository that tracks this file; where it is installed, of the current folder's.
    """
    home = Path(__file__).resolve().parent
    folder = home if _git(home, "ls-files", "--error-unmatch", Path(__file__).name) else Path.cwd()
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    remote = _git(folder, "config", "--get", "remote.origin.url")
    return {
        "commit": commit,
        "dirty": bool(changes),
        "remote": _plain_remote(remote) if remote else None,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()


def _plain_remote(remote: str) -> str | None:
    """Host and path of a remote: no user, no password, no query."""
    if "://" not in remote:
        return remote.rpartition("@")[2]
    try:
        parts = urlsplit(remote)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
