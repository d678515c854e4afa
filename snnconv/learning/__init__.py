"""Learning with activation- and timing-based gradients (ANTLR; Kim, Kim and Kim 2020)."""
