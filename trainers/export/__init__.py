"""Checkpoint -> actor, in the formats that Unity and robots run."""
