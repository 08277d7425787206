"""Mathematics of slates: top-k, Plackett-Luce, one choice a slate."""
