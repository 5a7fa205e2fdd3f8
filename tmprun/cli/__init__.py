"""What people type and read: the commands' options, what they print, and the exit status."""
