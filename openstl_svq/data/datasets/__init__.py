"""One file for each dataset, whose import registers it; a new file is found by itself."""
