"""What the tests of this repository need: pytest's own tester of plugins."""

pytest_plugins = ["pytester"]
