"""`python -m picks.site` is `tools/site`."""

import sys

from picks.site.command import main

sys.exit(main())
