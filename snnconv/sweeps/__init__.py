"""One network under many codings, in one table and one picture."""
