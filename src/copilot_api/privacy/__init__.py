"""What is stored about one key: handed over as an archive, or erased, with a receipt that a second look confirms."""
