"""A3C's processes: main.py coordinates, worker.py plays and learns, networks.py is what they share."""
