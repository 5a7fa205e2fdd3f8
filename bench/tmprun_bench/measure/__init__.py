"""How is measured: processes, time, memory, and where."""
