"""How do workers on other machines know that a sweep is under way, and in the folder they see?

The process that drives the sweep leaves a file with a random token in the results folder. A worker
that cannot read that very token does not see the folder, and trains nothing. It goes on as long as
the file is there, so that a sweep is stopped by removing it; a driver that is killed leaves it, its
workers finish what they have, and the next driver goes on with the same token.
"""

import re
import secrets

from rl_surrogates.store import StoreError, files
from rl_surrogates.store.leases import LEASES
from rl_surrogates.store.places import Place

SESSION = "session"
_TOKEN = re.compile(rb"[0-9a-f]{32}")


def begin(folder: Place) -> str:
    """Leaves the file, if it is not there, and gives its token.

    Raises:
      StoreError: it cannot be written.
    """
    path = folder / LEASES / SESSION
    found = files.read(path) if files.exists(path) else b""
    if not _TOKEN.fullmatch(found):
        files.make_folder(path.parent)
        found = secrets.token_hex(16).encode("ascii")
        files.write_atomically(path, found)
    return found.decode("ascii")


def lasts(folder: Place) -> bool:
    """Whether the sweep in `folder` is not stopped."""
    return files.exists(folder / LEASES / SESSION)


def sees(folder: Place, token: str) -> bool:
    """Whether `folder` on this machine is the one in which the sweep with this token is driven."""
    try:
        return files.read(folder / LEASES / SESSION).decode("ascii", "replace") == token
    except StoreError:
        return False


def end(folder: Place) -> None:
    """Stops the sweep in `folder`, or says that it is over."""
    files.remove(folder / LEASES / SESSION)
