"""squashfs, as the images of others have it."""
