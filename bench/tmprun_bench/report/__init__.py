"""What is said of the results."""
