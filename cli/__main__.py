"""`python -m cli` is `cashback`."""

from cli.app import main

if __name__ == "__main__":
    main()
