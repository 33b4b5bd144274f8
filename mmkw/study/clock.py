"""How long a study still takes."""

import statistics
from collections.abc import Mapping, Sequence


def time_left(left: Sequence[tuple[str, float]], seconds: Mapping[str, float], jobs: int) -> str:
    """Words for the time until all runs are done.

    Args:
        left: For each run that is not done its name and how much of it is left, between 0 and 1.
        seconds: Name -> how long a whole run of this name takes, as far as known; others count as the mean of these.
        jobs: How many run at once.
    """
    if not seconds:
        return 'time left: not known yet'
    mean = statistics.mean(seconds.values())
    longest = max(share * seconds.get(name, mean) for name, share in left)
    total = sum(share * seconds.get(name, mean) for name, share in left) / jobs
    minutes = round(max(total, longest) / 60)
    return f'about {minutes // 60} h {minutes % 60:02} min left' if minutes >= 60 else f'about {minutes} min left'
