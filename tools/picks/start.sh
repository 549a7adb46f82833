#!/bin/sh
# Finds a Python for which requirements.lock holds and has it start the command.
# First comes $PYTHON, then the environment's own (no change of version unasked), then what the PATH offers.
here=$(dirname "$0")
probe='import sys; print(sys.executable) if (3, 11) <= sys.version_info < (3, 15) else sys.exit(1)'
for python in "${PYTHON:-}" "$here/../../.venv/bin/python" python3 python3.13 python3.12 python3.11 python; do
    found=$("$python" -IS -c "$probe" 2>/dev/null) && exec "$found" -IS "$here/environment.py" "$@"
done
echo "tools/$1: Python 3.11 (or 3.12 to 3.14) is needed and was not found; install it, or say where it is: PYTHON=/path/to/python3.11 tools/$1" >&2
exit 1
