"""`python -m picks.sweep`."""

import sys

from picks.sweep.command import main

if __name__ == "__main__":
    sys.exit(main())
