"""What a gateway that is for show has behind it: a small team's last two weeks, made by the product's own services."""
