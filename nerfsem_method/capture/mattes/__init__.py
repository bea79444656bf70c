"""This room tells the object from everything else in every frame, as a matte: given, found by colour and space, or learned."""
