"""This room turns videos into frames and frames into videos, with ffmpeg, and takes coded streams apart."""
