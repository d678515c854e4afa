"""Work cut into items, which processes of this machine, or any executor, do."""
