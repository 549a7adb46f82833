"""`python -m picks.new`."""

import sys

from picks.new.command import main

if __name__ == "__main__":
    sys.exit(main())
