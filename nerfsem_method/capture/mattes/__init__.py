"""This room tells the artefact from everything else in every frame, as a matte: given, found by colour and space, or learned."""
