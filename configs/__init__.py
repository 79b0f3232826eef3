"""YAML training settings: one file is one run; rewards/ holds reward functions."""
