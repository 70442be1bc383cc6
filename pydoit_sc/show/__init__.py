"""From plain values to a screen: progress, tables, the picture of a batch that is watched; rows as files."""
