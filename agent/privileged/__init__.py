"""The only code that runs as root: a few verbs over sockets, never over paths to devices.

`verbs` does them, in the agent's own process when that runs as root (tests, a checkout). On a station the
agent is nobody in particular: `client` asks `server`, a helper that systemd starts when it is called.
Standard library only: nothing that a wheel brings along runs as root.
"""
