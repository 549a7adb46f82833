"""`python -m picks.sweep.leash COMMAND…`: becomes a command that ends when whoever holds its standard input is gone."""

import os
import sys

from picks.run.kernel import leave_guard

if __name__ == "__main__":
    leave_guard()
    os.execvp(sys.argv[1], sys.argv[1:])
