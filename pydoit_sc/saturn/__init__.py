"""Saturn Cloud's API, recipes and start scripts."""
