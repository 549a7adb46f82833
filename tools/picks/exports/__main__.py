"""`python -m picks.exports`."""

import sys

from picks.exports.command import main

sys.exit(main())
