"""`python -m trainers.edge`, and what `robotrl-edge.pyz` runs."""

from .cli import entry

entry()
