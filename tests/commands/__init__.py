"""The program from outside: a batchfile in; stdout, stderr, exit code and the tree out."""
