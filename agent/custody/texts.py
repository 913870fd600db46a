"""What people write, beside the log: the log holds a digest with salt, so that a text can be erased for good.

custody/texts/<digest>.json    {"salt", "text"}; <digest>: SHA-256 of the salt's bytes and the text's
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from agent import durable
from agent.errors import Reject

LONGEST = 500  # characters
_TOLD = {"person": "name"}  # what an entry calls it
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Texts:
    """`store` is the folder of the station's store."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store / "custody" / "texts"

    def keep(self, text: str) -> str:
        """On the disk when this returns its digest. Raises OSError."""
        salt = secrets.token_bytes(16)
        digest = digest_of(salt, text)
        for folder in durable.make_folders(self._folder, self._store):
            durable.sync_folder(folder)
        said = json.dumps({"salt": salt.hex(), "text": text}, ensure_ascii=False)
        durable.write_file(self._folder / f"{digest}.json", said.encode("utf-8", "backslashreplace"))
        return digest

    def said(self, arguments: Mapping[str, str], *names: str) -> dict[str, str]:
        """What a person wrote under these names, as an entry tells it: digests. Raises Reject."""
        # Kept first: an entry that speaks of a text that was never kept could not be understood.
        texts = {name: text_of(arguments.get(name, ""), name) for name in names}
        try:
            return {_TOLD.get(name, name): self.keep(text) for name, text in texts.items()}
        except OSError as error:
            raise Reject("text-not-kept", reason=error.strerror or str(error)) from error

    def read(self, digest: str) -> str | None:
        """None when it was erased, or is not what was written."""
        if not _DIGEST.fullmatch(digest):
            return None
        try:
            said = json.loads((self._folder / f"{digest}.json").read_bytes())
            text, salt = said["text"], bytes.fromhex(said["salt"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return text if isinstance(text, str) and digest_of(salt, text) == digest else None


def text_of(text: str, name: str) -> str:
    """What a person wrote under `name`. Raises Reject `bad-parameter`."""
    if not 0 < len(text.strip()) <= LONGEST:
        raise Reject("bad-parameter", name=name, expected=f"1–{LONGEST} characters")
    return text.strip()


def digest_of(salt: bytes, text: str) -> str:
    return hashlib.sha256(salt + text.encode("utf-8", "backslashreplace")).hexdigest()
