"""The edge for programs: HTTP in, HTTP out. It reads, asks the gateway, and writes; it decides nothing."""
