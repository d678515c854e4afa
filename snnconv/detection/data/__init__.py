"""Pictures, labelled boxes, and the layouts of data sets they come in."""
