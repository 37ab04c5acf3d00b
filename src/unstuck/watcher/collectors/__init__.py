"""One measurement of a watched loop a file; `unstuck.watcher.collector` is their shape."""
