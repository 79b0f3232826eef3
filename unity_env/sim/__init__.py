"""The embedded simulation: the robots and their tasks in MuJoCo."""
