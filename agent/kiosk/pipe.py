"""Chromium's debugging protocol over two pipes: JSON messages, each ended by a zero byte.

A pair of pipes and no port, so that nobody else on the machine can talk to the browser.
"""

import json
import os
import select
import time
from typing import Any

_ONCE = 1 << 16  # bytes of a read
_MOST = 1 << 22  # bytes of a message: what is asked here is answered in a few hundred


class Dead(Exception):
    """The browser is gone, does not answer, or refuses what it never refuses: it is to be started anew."""


class Pipe:
    def __init__(self, to_browser: int, from_browser: int) -> None:
        """Two file descriptors, this end's."""
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._asked = 0

    def ask(self, method: str, within: float, session: str = "", **params: Any) -> dict[str, Any]:
        """The browser's answer. `within`: seconds. Raises Dead."""
        self._asked += 1
        message = {"id": self._asked, "method": method, "params": params}
        end = time.monotonic() + within
        try:
            os.write(
                self._to, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
            )
            while True:
                answer = self._message(method, end)
                if answer.get("id") == self._asked:
                    break  # all else are events, and nobody here waits for one
        except OSError as error:
            raise Dead(f"{method}: {error.strerror}") from error
        if "error" in answer:
            raise Dead(f"{method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    def close(self) -> None:
        os.close(self._to)
        os.close(self._from)

    def _message(self, method: str, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._from], [], [], max(0.0, end - time.monotonic()))[0]:
                raise Dead(f"{method}: no answer in time")
            got = os.read(self._from, _ONCE)
            if not got or len(self._rest) > _MOST:
                raise Dead(f"{method}: the browser has ended")
            self._rest += got
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message
