"""Faces for other libraries: Gymnasium wrappers, TorchRL."""
