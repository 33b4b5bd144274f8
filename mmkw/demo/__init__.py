"""What ``make demo`` needs beyond training: a small data set, and figures of a run."""
