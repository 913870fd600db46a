"""What is handed out: receipts, evidence packages, and the report in them."""
