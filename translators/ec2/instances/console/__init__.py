"""The console of an instance: what its guest has written, and a picture of its screen."""
