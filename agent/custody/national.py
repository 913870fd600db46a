"""SM3 (GB/T 32905) beside SHA-256, in a second manifest of an evidence package: for who has to rely on
national cryptography. Not every Python knows it; then that is said, and SHA-256 stands alone."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from agent.custody.verdict import Said

SM3 = "manifest-sm3.txt"


def sm3() -> Any:
    """A new digest, as of hashlib; None where this Python has none."""
    try:
        return hashlib.new("sm3")
    except ValueError:
        return None


def check_sm3(told: Mapping[str, str], made: Mapping[str, str | None]) -> Iterator[Said]:
    """`told`: what the manifest lists; `made`: path → SM3 of each file of the payload, None where this
    Python cannot. A manifest lists every file of the payload (RFC 8493, 3)."""
    faults = [
        Said(False, f"SM3 清单未列：{path}", f"{SM3} does not list {path}") for path in made.keys() - told
    ]
    for path in told.keys() - made:
        faults.append(Said(False, f"SM3 清单所列不存在：{path}", f"{SM3} lists what is not there: {path}"))
    for path in told.keys() & made:
        if made[path] not in (None, told[path]):
            faults.append(Said(False, f"SM3 不符：{path}", f"SM3 differs: {path}"))
    yield from sorted(faults, key=lambda one: one.en)
    if faults:
        return
    if None in made.values():
        yield Said(
            True,
            "SM3 未核验：本机 Python 不支持；SHA-256 已核验",
            "SM3 not checked: this Python cannot; SHA-256 was",
        )
    else:
        yield Said(
            True,
            f"{len(made)} 个文件的 SM3 与清单一致",
            f"the SM3 of the {len(made)} files is that of the manifest",
        )
