"""When a call may start."""
