"""The wire to Unity."""
