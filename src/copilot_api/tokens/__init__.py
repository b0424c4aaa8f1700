"""How many tokens a text has, by the model's own tokenizer, without asking anybody."""
