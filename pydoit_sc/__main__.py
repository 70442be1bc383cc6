"""`python -m pydoit_sc` is `pydoit-sc`."""

import sys

from pydoit_sc.cli import main

sys.exit(main())
