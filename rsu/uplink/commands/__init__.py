"""Commands from a platform: checked here, carried out by whoever runs the unit (docs/commands.md).

`gate` decides whether a message is a command that may be carried out, `desk` takes messages one
after another, has them carried out and answers each; `catalogue` says which commands there are.
"""
