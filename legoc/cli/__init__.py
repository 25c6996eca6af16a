"""The command line: one file a command, no logic of its own.

takes: arguments
gives: text on stdout (data) and stderr (talk), and an exit code
may import: everything, inside functions; typer in `with_typer.py` alone
"""
