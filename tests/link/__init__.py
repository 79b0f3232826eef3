import unity_env  # noqa: F401  # before a test module imports mlagents_envs' messages
