"""``python -m robustbench_pix`` is ``rbp``."""

from robustbench_pix.cli import main

if __name__ == "__main__":
    main(prog_name="rbp")
