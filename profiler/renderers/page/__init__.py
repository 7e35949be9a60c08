"""The report page: sections, tables, links, time line."""
