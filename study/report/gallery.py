"""Names that chapters still take from here."""

from study.report.figures.drawing import Picture as Picture
from study.report.figures.drawing import slug as slug
