"""This room knows the captured clip: its camera, its frames and their poses, and the visual hull of their mattes."""
