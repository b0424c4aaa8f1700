"""GitHub Copilot, and the only outward HTTP."""
