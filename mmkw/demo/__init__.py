"""Makes the small data sets that the demos train on, and draws figures of runs and networks."""
