"""Small data sets that the demos train on, and figures of runs and of networks."""
