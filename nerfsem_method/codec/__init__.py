"""This room turns a field into bytes and back, in exact integer arithmetic (FORMAT.md), without torch and nerfstudio."""
