"""Ranks: processes, on one machine or on many, that share one piece of work and come to one result."""

from snnconv.ranks.group import ALONE as ALONE
from snnconv.ranks.group import Ranks as Ranks
from snnconv.ranks.group import ranks as ranks
