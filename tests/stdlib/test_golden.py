"""The selections of published implementations, from reference runs beside the repository."""

from __future__ import annotations
