"""The families of secrets that have a form of their own, by who issues them."""
