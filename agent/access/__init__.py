"""Access: who may do what at a recorder station. Knows no routes: the web asks, and keeps to the answer.

roles      one table of what each role may, and whom names and recordings concern
names      how an account is spelt
passwords  what is a password, its hash;  lockout: who guessed too often
sessions   of people, in memory;  tokens: of machines
access     the front: a secret → who it is;  commands: what administrators may do
"""

from agent.access.access import Access
from agent.access.roles import Caller, Right, Role, concerns, may, sees

__all__ = ["Access", "Caller", "Right", "Role", "concerns", "may", "sees"]
