"""When probes may be open, what that costs, and the budget that it keeps to."""
