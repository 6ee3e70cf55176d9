"""`python -m bit_axon` is the program `bit-axon`."""

from __future__ import annotations

import sys

from bit_axon._program import main

sys.exit(main())
