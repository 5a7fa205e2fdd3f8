"""What desktops are told of an app."""
