"""Custody: what happened to every recording, in a log that anyone can check and nobody can rewrite unseen.

The rows of the catalog's `events` are the entries of an append-only Merkle log (RFC 6962), whose heads the
station signs (C2SP signed-note, tlog-checkpoint) and whose tiles lie in files outside the database.

Beside it stands what is missing: rules over what each docking brought, and what a custodian says of it.

    log/           entries, tree, heads, key; what leaves the station; countersignatures
    audit/         logs and catalog compared
    completeness/  what is missing of what a recorder had
    clocks/        how a recorder's clock goes
    evidence/      receipts, packages, reports
    inspection/    random samples

`verifier`, `verdict`, `anchors`, `handed`, `national`, `package` go into the hands of a court, as one file.
"""
