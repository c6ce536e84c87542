"""What a message means, what a standard objects to in it, and whether the right set read it."""
