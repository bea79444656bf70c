"""This room trains HiNeRV's networks in torch, for backgrounds of bundles and as a peer of evaluations."""
