"""The commands behind the measured figures."""
