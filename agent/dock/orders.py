"""What people may have the dock do: use a slot no more, and use it again. Arguments are texts, as the narrow
door takes them."""

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

from agent.catalog import Catalog, stopped
from agent.errors import Reject

#: (its arguments, who asks) → what there is to tell. Raises Reject.
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]
#: (arguments, names of those that people write) → as entries tell them. Raises Reject.
Said = Callable[..., Mapping[str, str]]


class Orders:
    """`known`: the slots of the rack as it is now; `changed`: told of a slot, and since when it is out of
    use, None: it is used again."""

    def __init__(
        self,
        catalog: Catalog,
        said: Said,
        known: Callable[[], Collection[str]],
        changed: Callable[[str, float | None], None],
    ) -> None:
        self._catalog, self._said, self._known, self._changed = catalog, said, known, changed
        self._one = threading.Lock()  # the dock is told in the order in which the catalog was

    def all(self) -> dict[str, Command]:
        return {"slot-stop": self.stop, "slot-use": self.use}

    def stop(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """`slot`, `person`, `reason`. What is being copied there is finished."""
        slot = arguments.get("slot", "")
        if slot not in self._known():
            raise Reject("unknown-slot", slot=slot)
        facts = {**self._said(arguments, "person", "reason"), "who": who}
        with self._one:
            self._catalog.write(lambda tx: stopped.stop(tx, slot, facts))
            self._changed(slot, stopped.slots(self._catalog.read())[slot])
        return {"slot": slot}

    def use(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        """`slot`, `person`. What waits there is collected."""
        slot = arguments.get("slot", "")
        if slot not in stopped.slots(self._catalog.read()):
            raise Reject("slot-not-stopped", slot=slot)
        facts = {**self._said(arguments, "person"), "who": who}
        with self._one:
            self._catalog.write(lambda tx: stopped.use(tx, slot, facts))
            self._changed(slot, None)
        return {"slot": slot}
