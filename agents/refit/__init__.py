"""The supervised model trained further on the slates of its own rounds."""
