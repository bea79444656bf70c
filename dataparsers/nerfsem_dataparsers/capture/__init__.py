"""The capture room: a hand-held video of a static artefact becomes a scene folder."""
