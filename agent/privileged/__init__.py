"""The only code that needs root: a few verbs, standard library only, so that it can run alone.

Today the agent calls them in its own process; a socket-activated helper will stand between them.
"""
