#!/bin/sh
# doc/protocols.md is what the sources say.
exec "$(dirname "$0")/../../tools/mkprotocols.py" --check
