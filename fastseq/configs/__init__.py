"""Names and config dicts: what a config may lead to, and how objects become configs and come back."""
