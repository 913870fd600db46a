"""Reader → stage → stage, each stage a thread of its own, over a few reused buffers.

hashlib, read and write release the interpreter lock, so the stages run at the same time; the
buffers bound the memory: a slot never holds more than BUFFERS × BUFFER bytes of a clip.
"""

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

BUFFER = 512 << 10
BUFFERS = 4


@dataclass(slots=True)
class Chunk:
    """One buffer on its way; `data` is valid until the last stage returns."""

    buffer: memoryview
    offset: int = 0
    length: int = 0

    @property
    def data(self) -> memoryview:
        return self.buffer[: self.length]


Stage = Callable[[Chunk], None]


class Pipeline:
    """As a context manager: on a clean exit everything put in has passed every stage; an error of a
    stage is raised by the next `take` or at the exit."""

    def __init__(self, *stages: Stage) -> None:
        self._free: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
        self._error: BaseException | None = None
        queues: list[queue.SimpleQueue[Chunk | None]] = [queue.SimpleQueue() for _ in stages]
        self._first = queues[0]
        self._threads = [
            threading.Thread(
                target=self._run, args=(stage, inlet, outlet), name=f"pipeline-{stage.__name__}", daemon=True
            )
            for stage, inlet, outlet in zip(stages, queues, [*queues[1:], None], strict=True)
        ]
        for _ in range(BUFFERS):
            self._free.put(Chunk(memoryview(bytearray(BUFFER))))

    def take(self) -> Chunk:
        """A free buffer to fill. Raises what a stage raised."""
        if self._error is not None:
            raise self._error
        return self._free.get()

    def put(self, chunk: Chunk) -> None:
        self._first.put(chunk)

    def __enter__(self) -> "Pipeline":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._first.put(None)
        for thread in self._threads:
            thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _run(
        self,
        stage: Stage,
        inlet: "queue.SimpleQueue[Chunk | None]",
        outlet: "queue.SimpleQueue[Chunk | None] | None",
    ) -> None:
        while (chunk := inlet.get()) is not None:
            if self._error is None:
                try:
                    stage(chunk)
                except BaseException as error:  # noqa: BLE001 - raised again in the reader's thread
                    self._error = error
            if outlet is None:
                self._free.put(chunk)
            else:
                outlet.put(chunk)
        if outlet is not None:
            outlet.put(None)
