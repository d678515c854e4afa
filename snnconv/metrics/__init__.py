"""What a spiking network does and costs, measured beside the original."""
