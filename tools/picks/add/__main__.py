"""`python -m picks.add`."""

import sys

from picks.add.command import main

sys.exit(main())
