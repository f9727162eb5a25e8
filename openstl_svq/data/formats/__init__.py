"""Files of one kind each, opened as series of frames."""
