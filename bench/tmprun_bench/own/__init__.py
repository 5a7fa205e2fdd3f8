"""The user's own app, measured."""
