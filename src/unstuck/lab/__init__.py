"""What experiments on a live model share: their subject, its batches, and putting it all back."""
