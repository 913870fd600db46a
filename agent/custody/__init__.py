"""A trace of every recording that anyone can check: the log, what is missing, clocks, evidence."""
