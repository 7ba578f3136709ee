"""Reports for people: `html` a page, `figures` its pictures, `tables` what page and terminal share."""
