"""Check the dataset."""

from testimonia.cli import main

main("validate-dataset")
