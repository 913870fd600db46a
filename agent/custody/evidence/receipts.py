"""Receipts: what happened at one docking, or to one clip, proven without disclosing anything else.

A receipt is what its entry says, in words; an empty line; and a C2SP tlog-proof whose extra data is the
entry. The short form is for a code on a screen: the head under which the entry lies, and its number.
"""

from agent.custody.log.reading import Log
from agent.custody.verifier import Receipt, Short
from agent.errors import Reject


def of_event(log: Log, seq: int) -> Receipt:
    """Of event number `seq`. Raises Reject `not-signed-yet`, Stop `log-unreadable`."""
    if seq > log.head.size:
        raise Reject("not-signed-yet", event=seq)
    return Receipt(log.proof(seq - 1))


def short(log: Log, seq: int) -> Short:
    """Raises as `of_event`."""
    proof = of_event(log, seq).proof
    return Short(log.origin, proof.index, log.head.size, log.head.root, proof.note.signatures[0].data)
