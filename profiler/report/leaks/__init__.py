"""Objects that are never freed: suspects, who holds them, containers that grow."""
