"""Where the reference figures are."""

from pathlib import Path

REFERENCE = Path(__file__).parent / "reference"
