"""The pictures of docs/concepts: a file for each, drawn from what the library itself computes."""
