"""Cellular automata: growing a picture, and the flow around obstacles on canvases of any size."""
