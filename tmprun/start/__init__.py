"""The first start of an image that the engine cannot read alone."""
