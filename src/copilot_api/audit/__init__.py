"""Who changed what: the actions on record, and the log that nothing edits."""
