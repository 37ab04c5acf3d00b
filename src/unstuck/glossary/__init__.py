"""The glossary's entries, a file a subject; `unstuck.vocabulary` is how they are asked for."""
