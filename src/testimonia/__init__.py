"""testimonia: who acts, how many, for or against, according to whom."""

__version__ = "0.1.0"
