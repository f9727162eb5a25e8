"""What OpenSTL lacks around its datasets: sample data and their generators, and the data module of a run."""
