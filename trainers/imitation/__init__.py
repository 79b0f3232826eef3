"""Learning from demonstrations: behavioral cloning, GAIL, and the recorder of what they learn from."""
