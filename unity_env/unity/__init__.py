"""The Unity project from outside: what is written into it, and the Editor that builds it."""

from pathlib import Path

PROJECT = Path(__file__).parents[1] / "unity_project"
STREAMING_ASSETS = Path("Assets", "StreamingAssets")  # of a project: files that its player can read
