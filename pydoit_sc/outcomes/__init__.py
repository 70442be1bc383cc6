"""What came out of the runs of a batch: failures, attempts, what runs write, results, outputs fetched."""
