"""What each key consumed: usage events, how they are kept, and the sums over them."""
