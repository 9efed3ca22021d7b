"""`python -m rl_surrogates` is the program `rl-surrogates`."""

import sys

from rl_surrogates.cli import main

sys.exit(main())
