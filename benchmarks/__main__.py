"""``python -m benchmarks [NAME...] [--images N]``: measure, print, and keep the tables in ``benchmarks/results``."""

from __future__ import annotations

import argparse

from benchmarks import comparison, cost, max_pooling, rate

BENCHMARKS = {"cost": cost.run, "max_pooling": max_pooling.run, "comparison": comparison.run, "rate": rate.run}


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--images", type=int, help="only the first N test images")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in BENCHMARKS:
            parser.error(f"unknown benchmark {name!r}; known: {', '.join(BENCHMARKS)}")
    limit = {} if arguments.images is None else {"images": arguments.images}
    for name in arguments.names or BENCHMARKS:
        BENCHMARKS[name](**limit)


if __name__ == "__main__":
    main()
