"""What the station costs, measured beside what it is compared with: docs/benchmarks.md."""
