"""What a named person may order of the log itself: another log, or another key."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from agent.catalog import Catalog
from agent.custody.log import opening, orders
from agent.custody.log.orders import BEGIN, REKEY, Order
from agent.custody.texts import Texts, text_of
from agent.errors import Reject

_WAIT = 5.0  # seconds for the keeper, which wakes within one
_LOOK = 0.05
Command = Callable[[Mapping[str, str], str], Mapping[str, Any]]


def commands(catalog: Catalog, texts: Texts, highest: Callable[[int], int]) -> dict[str, Command]:
    """By name. `highest`: the largest number above a given one under which this station has a log elsewhere,
    or the given one. Raises Reject where somebody cannot be asked."""

    def order(what: str, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        said = {name: text_of(arguments.get(name, ""), name) for name in ("person", "reason")}
        _free(catalog)
        number = opening.number_of(catalog)
        above = highest(number) if what == BEGIN else 0
        # The texts first: an entry that speaks of one that was never kept could not be understood.
        try:
            name, reason = texts.keep(said["person"]), texts.keep(said["reason"])
        except OSError as error:
            raise Reject("text-not-kept", reason=error.strerror or str(error)) from error

        def work(tx: Any) -> None:
            if orders.pending(tx) is not None:
                raise Reject("log-order-waits")
            orders.put(tx, Order(what, name, reason, who, above))

        catalog.write(work)
        return {"log": _done(catalog, number)}

    return {
        "log-begin": lambda arguments, who: order(BEGIN, arguments, who),
        "log-rekey": lambda arguments, who: order(REKEY, arguments, who),
    }


def _free(catalog: Catalog) -> None:
    if not opening.number_of(catalog):
        raise Reject("no-log-yet")
    if orders.pending(catalog.read()) is not None:
        raise Reject("log-order-waits")


def _done(catalog: Catalog, before: int) -> int:
    """The number of the new log; 0 when it waits still: the log stands still, and health says why."""
    until = time.monotonic() + _WAIT
    while orders.pending(catalog.read()) is not None:
        if time.monotonic() > until:
            return 0
        time.sleep(_LOOK)
    number = opening.number_of(catalog)
    return number if number != before else 0
