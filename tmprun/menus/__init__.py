"""Apps in the menus of a desktop: entries, icons and types below $XDG_DATA_HOME, kept as the apps come and go."""
