from .exp import BaseExperiment

__all__ = ["BaseExperiment"]
