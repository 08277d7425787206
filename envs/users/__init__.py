"""User models, one file each, and the pieces they share."""
