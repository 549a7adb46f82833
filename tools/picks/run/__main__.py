"""`python -m picks.run`."""

import sys

from picks.run.command import main

if __name__ == "__main__":
    sys.exit(main())
