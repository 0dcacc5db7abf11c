"""Libraries come before the files of users: no ``queue.py`` in the current folder shadows Python's own."""

import os
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


def libraries_first() -> None:
    """Move the current folder and the running script's, which Python puts first on its own, behind the libraries.

    What PYTHONPATH names stays where it is, and so does the folder of this package.
    """
    stated = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = {HERE, *(os.path.abspath(place) for place in stated if place)}  # noqa: PTH100
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    users = {os.getcwd(), *([os.path.dirname(os.path.abspath(script))] if script else [])} - kept  # noqa: PTH100, PTH109, PTH120
    moved = [place for place in sys.path if os.path.abspath(place) in users and "site-packages" not in place]  # noqa: PTH100
    sys.path[:] = [place for place in sys.path if place not in moved] + moved
