"""Takes secrets out of what is to be kept or shown, and looks again, independently, at what came of it. Pure."""
