"""One call's life: what came in, what was decided, how it was carried, how it ended."""
