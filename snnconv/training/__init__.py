"""What all training shares: epochs, checkpoints, seeds and learning rates."""
