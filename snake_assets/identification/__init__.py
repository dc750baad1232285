"""A trained model at work: package, prediction, look-alikes, and the answer "unknown".

From photos to answers, with nothing of Dagster and of the store. What a model is worth on val is told in
learning/evaluation, how it is trained in learning.
"""

from snake_assets.identification.identify import IdentificationError, Package
from snake_assets.identification.package import load_package

__all__ = ["IdentificationError", "Package", "load_package"]
