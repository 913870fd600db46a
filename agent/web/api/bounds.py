"""How much may be asked for at once, and how long what is asked for may be."""

LARGEST = 2**63 - 1  # number of a clip, a docking, a hold: what SQLite can hold
ROWS = 500  # of one page
NAME = 200  # characters of a name that is looked for
TEXT = 500  # characters of a reason or a note
