#!/bin/sh
# Images to and from Podman: images.sh.
peer=podman
. "$BOX_SRC/tests/engines/images.sh"
