"""What the exit code says (the table is in README too; a test compares them)."""

COMPLETE = 0
USAGE = 2
CONFIGURATION = 3
DAMAGED = 4
LOCKED = 5
UNAVAILABLE = 75
INTERRUPTED = 130

MEANING = {
    COMPLETE: "complete",
    USAGE: "usage: an option or argument is wrong",
    CONFIGURATION: "configuration, mapping, or a target that refuses",
    DAMAGED: "complete, with rejected or damaged items, or nothing found (see the summary and dead-letters.ndjson)",
    LOCKED: "another run holds the lock",
    UNAVAILABLE: "a sink is unreachable; the run can be resumed",
    INTERRUPTED: "interrupted",
}
