"""From an AppDir to a bundle."""
