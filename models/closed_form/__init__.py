"""Statistics of a log's rows in closed form, shared by the classics and the network."""
