"""The edge for people: the pages under /admin, and what keeps them to those they are for."""
