"""Files for other programs, and the list of all files: `render(profile, out)`."""
