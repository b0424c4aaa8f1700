"""What the process does: a closed set of observations, and where they go."""
