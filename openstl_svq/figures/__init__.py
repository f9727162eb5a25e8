"""One figure, one file: functions from arrays to a matplotlib figure."""
