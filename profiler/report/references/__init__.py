"""References to objects: who took them, who gives them back, which are overdue."""
