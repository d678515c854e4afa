"""Reports for people who would rather look than read: one HTML file that opens anywhere, without a network."""
