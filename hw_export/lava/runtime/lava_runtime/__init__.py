"""The program that runs a bundle on Lava: it knows numpy, scipy and lava, and nothing of the converter."""
