"""Choose runs, cut them into chunks, hand them to an engine, watch and cancel: one road for every engine."""
