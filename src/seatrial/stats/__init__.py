"""Arrays in, estimates out: how sure a difference between two models is. No I/O, no random numbers."""
