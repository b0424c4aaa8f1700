"""`python -m copilot_api` is the same program as `copilot-api`."""

from copilot_api.cli import main

main()
