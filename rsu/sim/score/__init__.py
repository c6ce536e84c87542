"""How good a run was, held against the truth it was recorded with.

`score_recording` reads a recording and gives a `Score`; `report` draws it as a page.
"""

from rsu.sim.score.score import Score, score_recording

__all__ = ["Score", "score_recording"]
