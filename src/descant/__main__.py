"""`python -m descant`, for environments whose scripts are not on the path."""

import sys

from descant.cli.main import run

if __name__ == "__main__":
    sys.exit(run())
