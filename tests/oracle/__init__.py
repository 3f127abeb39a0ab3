"""Tests against other people's libraries: `python -m tox run -e oracle` installs them."""
