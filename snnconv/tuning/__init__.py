"""Converted networks trained through their own spikes."""

from snnconv.tuning.augmentation import ShiftAndFlip

__all__ = ["ShiftAndFlip"]
