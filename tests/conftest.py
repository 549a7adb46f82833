"""What all tests take for granted."""

import signal

# A shell starts background jobs with Ctrl-C ignored, and every process below inherits that: tests send it on purpose.
signal.signal(signal.SIGINT, signal.default_int_handler)
