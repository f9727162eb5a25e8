"""One file for each dataset."""
