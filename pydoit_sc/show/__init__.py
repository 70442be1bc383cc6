"""From plain values to a screen: progress, tables."""
