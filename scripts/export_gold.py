"""Build the dataset from seeds/ and labeling/."""

from testimonia.cli import main

main("export-gold")
