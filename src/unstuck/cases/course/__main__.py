"""python -m unstuck.cases.course ITEM [--seed N] [--fault NAME] [--KNOB VALUE ...] [--out DIR]."""

import sys

from unstuck.cases.course.item import main

sys.exit(main())
