"""What the pages show: each view takes an `AdminRequest` and answers it."""
