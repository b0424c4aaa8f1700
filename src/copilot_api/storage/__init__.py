"""The ports of keys and usage in SQL. SQLite today; what differs between backends has one place each."""
