"""Robot descriptions -> MuJoCo models."""
