"""FetchReach-v4 in an interpreter of its own, which has the older MuJoCo that it needs."""
