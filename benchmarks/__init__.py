"""Speed, against the plain ways of doing the same work; run by hand from the repository's root."""
