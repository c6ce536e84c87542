#!/bin/sh
# Resolve the pinned versions: one file for what runs, one more for development, each for Python
# 3.11 to 3.14 on x86-64 and aarch64 (environment markers inside), with hashes and without any
# download address. Needs uv (pip install uv).
set -eu
cd "$(dirname "$0")/.."
resolve() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" "$@"
}
resolve pyproject.toml --output-file requirements.lock
resolve pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock
