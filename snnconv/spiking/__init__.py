"""A spiking network as data: populations, synapses, and what runs when."""
