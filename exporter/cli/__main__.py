"""`python -m exporter.cli`: the same command where the script is not on the path."""

from exporter.cli import main

if __name__ == "__main__":
    main()
