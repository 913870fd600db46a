"""What is run from a checkout: set-up, tests, locks, the demo. Nothing of it is installed."""
