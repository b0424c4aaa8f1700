"""What the operator wants, and where it is kept: settings, paths, and the one place that reads the environment."""
