"""The admin API, declared: every operation with what it takes and what it answers. The router and the docs go by it."""
