"""What is listed in a results folder that is open for writing, and how does the list grow?

One more work item must not cost more because there are many: files are found by their item, the
manifest holds what was listed lately, and once that is `FOLD` files, those that will not change are
folded into a segment. Results of fewer files have no segments.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from rl_surrogates.store import files, manifest, segments
from rl_surrogates.store.manifest import Head
from rl_surrogates.store.places import Place, StoreError

FOLD = 512  # files: the manifest stays below some 200 kB, 100 000 work items are 600 segments


class Listed(Mapping):
    """Path -> entry of every listed file, in the order in which they were listed."""

    def __init__(self, folder: Place, check: Callable[[], None] = lambda: None) -> None:
        """Nothing is listed yet; `recover` takes over what lies in `folder`.

        `check` raises StoreError where the right to write there is lost.
        """
        self.folder, self.check = folder, check
        self._clear()

    def __getitem__(self, path: str) -> dict[str, Any]:
        """The entry of a listed file."""
        return self._files[path]

    def __iter__(self) -> Iterator[str]:
        """The paths."""
        return iter(self._files)

    def __len__(self) -> int:
        """How many files."""
        return len(self._files)

    def parts(self, item: str) -> list[str]:
        """Paths of what is stored of a finished work item."""
        return list(self._parts.get(item, ()))

    def checkpoints(self, item: str) -> list[str]:
        """Paths of a work item's checkpoints, the oldest first."""
        return list(self._checkpoints.get(item, ()))

    def begun(self) -> list[str]:
        """Work items that have a checkpoint."""
        return list(self._checkpoints)

    def recover(self) -> list[str]:
        """Takes over what the folder lists; what was found damaged, one line each.

        Raises:
          StoreError: both manifests are damaged.
        """
        data = manifest.sound_bytes(self.folder)
        found = manifest.recover_manifest(self.folder)
        sealed = found.head.segments
        if found.damaged:
            sealed = {n: seal for n, seal in sealed.items() if segments.mend(self.folder, n, seal)}
        segments.remove_strays(self.folder, sealed)
        self._clear()
        self._lay_over(found.files)
        self._head = Head(found.head.files, sealed)
        self._folded = set(found.files).difference(found.head.files)
        self._data = data
        return found.damaged

    def update(self, gone: Iterable[str], entries: manifest.Files) -> None:
        """One new manifest: without the files that are `gone`, with these `entries`.

        What another process listed since is taken over first.

        Raises:
          StoreError: a write failed; the list is what it was.
        """
        self.check()
        before = self._refreshed()
        gone = {path for path in gone if path in self._files and path not in entries}
        head, sealed = self._changed(gone, entries), self._head.segments
        stable = {path: entry for path, entry in head.items() if _stays(entry)}
        if len(stable) >= FOLD:
            number = 1 + max((segments.number(name) for name in sealed), default=0)
            sealed = sealed | segments.write(self.folder, number, stable)
            head = {path: entry for path, entry in head.items() if path not in stable}
        else:
            stable = {}
        self._data = manifest.replace_manifest(self.folder, Head(head, sealed), before)
        self._head = Head(head, sealed)
        self._folded.update(stable)
        self._lay_over(dict.fromkeys(gone) | entries)

    def _changed(self, gone: Iterable[str], entries: manifest.Files) -> dict[str, Any]:
        """What the manifest is to hold, before any of it is folded."""
        head = dict(self._head.files)
        for path in gone:
            head.pop(path, None)
            if path in self._folded:
                head[path] = None
        for path, entry in entries.items():
            if head.get(path, entry) is None:
                del head[path]  # it comes back, behind all others
            head[path] = entry
        return head

    def _refreshed(self) -> bytes | None:
        """The manifest that lies there, once all that it lists is known here."""
        try:
            data = files.read(self.folder / manifest.MANIFEST)
            if data != self._data:
                head = manifest.parse(self.folder / manifest.MANIFEST, data)
                self._follow(head)
                self._data = data
        except StoreError:
            return None  # there is none yet, or it is damaged: what is known here stands
        return data

    def _follow(self, head: Head) -> None:
        """Takes over the manifest of another process, reading only the segments that are new."""
        later: dict[str, Any] = {}
        for name, seal in head.segments.items():
            if name not in self._head.segments:
                found, _ = segments.recover(self.folder, name, seal)
                self._folded.update(found)
                later.update(found)
        later.update(head.files)
        dropped = dict.fromkeys(path for path in self._head.files if path not in later)
        self._lay_over(dropped | later)
        self._head = head

    def _clear(self) -> None:
        self._files: manifest.Files = {}
        self._parts: dict[str, dict[str, None]] = {}  # item -> its paths
        self._checkpoints: dict[str, dict[str, None]] = {}
        self._head = Head({}, {})
        self._folded: set[str] = set()  # paths in segments
        self._data: bytes | None = None  # of the manifest that was read or written last

    def _lay_over(self, later: dict[str, Any]) -> None:
        """Keeps what is listed and what finds it by its item in step."""
        for path, entry in later.items():
            for index, kind in ((self._parts, "item"), (self._checkpoints, "checkpoint")):
                if kind in (before := self._files.get(path, {})):
                    held = index[before[kind]]
                    del held[path]
                    if not held:
                        del index[before[kind]]
                if entry and kind in entry:
                    index.setdefault(entry[kind], {})[path] = None
        manifest.lay_over(self._files, later)


def _stays(entry: dict[str, Any] | None) -> bool:
    """Whether an entry of the manifest is not expected to change: a part, or a removal."""
    return entry is None or "item" in entry
