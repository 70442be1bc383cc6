"""One command a file: options in, a call to what lies below, text out."""
