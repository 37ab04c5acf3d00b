"""What all tests need: children that can be interrupted, however the tests were started."""

import signal

# In a background job of a script SIGINT is ignored, and children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
