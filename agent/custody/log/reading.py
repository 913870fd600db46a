"""Reading a log beside the agent that writes it: changes and repairs nothing."""

import functools
from pathlib import Path

from agent.custody.log import heads, signer, tiles
from agent.custody.log.shelf import read_bundle, read_tile
from agent.custody.log.tiles import WIDTH
from agent.custody.verifier import Head, Invalid, Key, Note, Proof, check_inclusion, leaf_hash
from agent.errors import Stop


class Log:
    """As it was when this was made. What a head speaks of is in its files already, and stays."""

    def __init__(self, folder: Path) -> None:
        """Raises Stop `log-unreadable` when there is no log in `folder` that can be read."""
        self.folder = folder
        try:
            self.key: Key = signer.published(folder / "key.pub")
            self.origin = f"{self.key.name}/{folder.name}"
            self.note = Note.parse(heads.last(folder)[0])
            self.head = Head.checked(self.note, [self.key], self.origin)
        except (OSError, Invalid) as error:
            raise Stop("log-unreadable", log=folder.name, reason=str(error)) from error
        self._tile = functools.lru_cache(maxsize=32)(functools.partial(read_tile, folder))

    def entry(self, index: int) -> bytes:
        """Raises Stop `log-unreadable`."""
        entries = read_bundle(self.folder, index // WIDTH)
        if index >= self.head.size or index % WIDTH >= len(entries):
            raise Stop("log-unreadable", log=self.folder.name, reason=f"entry {index} is not there")
        return entries[index % WIDTH]

    def proof(self, index: int) -> Proof:
        """That entry `index` is in the log, with the entry itself, and checked. Raises Stop `log-unreadable`
        when the files do not prove it."""
        entry = self.entry(index)
        try:
            hashes = tuple(tiles.inclusion(index, self.head.size, self.read))
            # Against the head itself: that the log's key has signed it was checked when this was made.
            check_inclusion(leaf_hash(entry), index, self.head.size, hashes, self.head.root)
        except (Invalid, IndexError) as error:
            raise Stop("log-unreadable", log=self.folder.name, reason=str(error)) from error
        return Proof(index, hashes, self.note, extra=entry)

    def consistency(self, old: int) -> list[bytes]:
        """That the log goes on from what it was with `old` entries."""
        return tiles.consistency(old, self.head.size, self.read)

    def read(self, level: int, n: int) -> bytes:
        """A hash of the tree, as `tiles` asks for it."""
        height, number, first, last = tiles.in_tile(level, n)
        return tiles.tile_root(self._tile(height, number)[first:last])
