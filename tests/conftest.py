"""What all tests need: children that can be interrupted, and no run of an earlier session."""

import os
import signal

import pytest

# In a background job of a script SIGINT is ignored, and children would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_run_of_an_earlier_session(tmp_path_factory):
    """Finished runs of trials are kept for this session only."""
    os.environ["UNSTUCK_CACHE"] = str(tmp_path_factory.mktemp("finished-runs"))
