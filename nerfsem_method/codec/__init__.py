"""From a field to bytes and back, in exact integer arithmetic; see FORMAT.md. No torch, no nerfstudio."""
