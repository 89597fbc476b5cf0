"""What seatrial knows, without doing anything: no I/O, no clock, no environment."""
