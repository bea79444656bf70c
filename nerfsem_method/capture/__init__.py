"""This room turns a video into a scene folder: frames, cameras, mattes and a report."""
