"""What happens between two protocols: a request made fit for the model it goes to, and its answer brought back."""
