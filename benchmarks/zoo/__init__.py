"""The models that other libraries hold, each converted as it is: what is accepted, and how large its error is."""
