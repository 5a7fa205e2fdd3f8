"""Where the engine's programs are; beside this file lie the programs themselves, in a folder a machine."""
