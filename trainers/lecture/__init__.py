"""What the lecture notes behind this project begin with, to read and to check: neural networks and SGD."""
