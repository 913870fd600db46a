"""Retention: how long a recording is kept, by rules that are data, and by holds that go before all of them.

rules      what a rule says, and whether one protects all that another does
decide     spans of protection → until when, and by which rule
keeping    each clip held against rules and holds
book       which rules protect now, and which wait
explain    why a clip is kept;  plan: what would go
commands   what people may do: labelling, persons (two of them), arguments
clockwatch a clock that jumped;  locks: for how long the centre keeps a clip
release    lets local copies go;  worker: the thread that does so
"""
