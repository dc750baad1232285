"""How a pass over photos runs: data loader, runner, writer, on this machine or on Ray.

What is computed of a photo does not belong here.
"""
