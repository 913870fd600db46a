"""The clips of a store, each with its manifest, as they lie there; and what is no clip of ours."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from agent.archive.store import CLIPS, Entry, Store
from agent.catalog import sidecar
from agent.catalog.sidecar import Sidecar, Unusable
from agent.upload.targets import keys


@dataclass(frozen=True, slots=True)
class Lying:
    """`key`: as its manifest should say. `size`: bytes of all versions of the clip and of its manifest."""

    key: str
    size: int
    has_manifest: bool


def lying(store: Store) -> Iterator[Lying]:
    """Of a clip whose file is gone, as a deletion that was cut off leaves it, the manifest alone."""
    for _, entries in groupby(store.entries(CLIPS), lambda entry: entry.path.rpartition("/")[0]):
        yield from _of_folder(list(entries))


def _of_folder(entries: list[Entry]) -> Iterator[Lying]:
    sizes = {entry.path: entry.size for entry in entries}
    for path, size in sizes.items():
        manifest, about = path + keys.MANIFEST, path.removesuffix(keys.MANIFEST)
        if manifest in sizes:  # a recorder's own `x.json` is a clip with a manifest
            yield Lying(path.removeprefix(f"{CLIPS}/"), size + sizes[manifest], True)
        elif about == path:
            yield Lying(path.removeprefix(f"{CLIPS}/"), size, False)
        elif about not in sizes:
            yield Lying(about.removeprefix(f"{CLIPS}/"), size, True)


def paths(key: str) -> tuple[str, str]:
    """Of the clip, and of its manifest, which goes last: without one a clip is nobody's."""
    return f"{CLIPS}/{key}", f"{CLIPS}/{key}{keys.MANIFEST}"


def manifest(store: Store, key: str) -> Sidecar | None:
    """None unless it is one of ours, and of this very clip."""
    data = store.read(paths(key)[1], hidden=True)
    try:
        found = sidecar.parse(data or b"")
    except Unusable:
        return None
    return found if found.key == key else None
