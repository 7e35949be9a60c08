"""One renderer per output file: functions `render(profile, out)`."""
