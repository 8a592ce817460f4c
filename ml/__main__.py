"""`python -m ml`: the command line of the models."""

from ml.cli import main

if __name__ == "__main__":
    main()
