"""What came out of the runs of a batch: failures by kind."""
