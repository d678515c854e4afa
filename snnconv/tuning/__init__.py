"""Converted networks trained through their own spikes."""
