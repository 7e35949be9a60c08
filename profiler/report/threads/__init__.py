"""What threads do: roles, groups, their heaviest paths."""
