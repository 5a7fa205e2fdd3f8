"""Own bundles: the footer, the frames and what is written."""
