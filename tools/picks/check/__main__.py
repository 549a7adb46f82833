"""`python -m picks.check`."""

import sys

from picks.check.command import main

if __name__ == "__main__":
    sys.exit(main())
