"""The benchmark: what the gateway costs beside a direct call and an nginx hop. Start it with `python bench/run.py`."""
