"""A live loop -> Run: attach, name, read, store. `launch` alone works without torch."""
