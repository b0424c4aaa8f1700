"""What was said: exchanges captured on demand, redacted before anything is kept or shown."""
