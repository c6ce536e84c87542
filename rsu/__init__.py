"""Vehicle-road cooperative roadside runtime.

Data flows one way: `rsu.hal` drivers → `rsu.perception` → `rsu.fusion` → `rsu.situation` →
`rsu.v2x` → `rsu.hal` radios and `rsu.uplink`; `rsu.recording` keeps every topic. All of them meet
only through the vocabulary in `rsu.schema`. See docs/architecture.md.
"""

__version__ = "0.1.0"
