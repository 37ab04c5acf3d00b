"""Cross-domain UNet for two MRI contrasts: a collapsed latent that looks like skip reliance."""
