"""This room renders the frames of a decoded bundle."""
