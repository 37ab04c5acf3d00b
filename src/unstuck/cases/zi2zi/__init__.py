"""Font style transfer with a GAN: a font drawn in the hand of another, for characters it lacks."""
