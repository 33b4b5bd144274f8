"""Comparing networks: the data of mmkw's own study, and a tool that trains a list of configs over several seeds."""
