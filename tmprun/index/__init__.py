"""The index of an image (docs/format.md): its nodes, its rules, its bytes."""
