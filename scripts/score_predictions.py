"""Score a model's predictions against the gold: the last step of the pipeline."""

from testimonia.cli import main

main("score-predictions")
