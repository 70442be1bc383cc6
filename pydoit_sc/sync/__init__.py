"""Send local code to workers, for every engine: archives, their staging, and checked extraction."""
