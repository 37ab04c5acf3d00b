"""One kind of live change a file."""
