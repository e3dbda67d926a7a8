"""`python -m compositional` and the console command `compositional` are one program."""

from compositional.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
