"""Who links into containers that grow: counted in windows within a share of the budget."""
