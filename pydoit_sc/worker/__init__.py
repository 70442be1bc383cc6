"""Execute runs: ranks, attempts, processes, publication."""
