"""This room compresses a folder of clips: many items, on one machine or many, each in a process of its own, and nothing lost."""
