"""`python -m picks.pick`."""

import sys

from picks.pick.command import main

if __name__ == "__main__":
    sys.exit(main())
