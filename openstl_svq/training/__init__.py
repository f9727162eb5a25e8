"""One run from start to end: the experiment, its data module, its checkpoints."""
