"""Cross-modal hashing of pictures and words: codes that collapse, and how they are mended."""
