"""The fault suite: break a batch at every point there is, and look whether the promise holds (docs/reliability.md)."""
