"""Wire formats: values in, values out. No clock, no I/O, no settings."""
