"""Retention: how long a recording is kept, by rules that are data, and by holds that go before all of them.

rules      what a rule says, and whether one protects all that another does
facts      what of each clip the rules look at
decide     rules, holds and facts → until when, and why
"""
