"""An entry to the SnakeCLEF 2024 code competition: built (`build`), and run as its runner does (`check`).

`script` is copied into the entry as it is and imports nothing of this package; `sandbox` is run by another
Python.
"""
