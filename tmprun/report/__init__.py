"""What is said of an image."""
