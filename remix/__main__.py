"""`python -m remix` is the `remix` command."""

import sys

from remix.client.cli import main

sys.exit(main())
