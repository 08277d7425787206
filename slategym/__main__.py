"""`python -m slategym`: the command line."""

import sys

from slategym.experiments.cli.main import main

sys.exit(main())
