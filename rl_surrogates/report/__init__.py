"""What do the results say? One self-contained page, and the table that a terminal can show."""

from rl_surrogates.report.page import write
from rl_surrogates.report.scores import summary

__all__ = ["summary", "write"]
