"""This room opens whatever is a clip, a video or photographs, and yields its frames: the same ones to everybody who asks."""
