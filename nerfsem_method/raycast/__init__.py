"""Pictures of a decoded field are made here without torch: compiled look-ups, heads and ray casting."""
