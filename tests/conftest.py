"""Puts this folder on the path, where shared test helpers live."""
