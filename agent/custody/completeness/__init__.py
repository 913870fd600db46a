"""What is missing of a recorder's recordings: rules, who asks them after a docking, what a custodian says."""
