#!/bin/sh
# Images to and from Docker Engine, a daemon of the test's own: images.sh.
peer=docker
. "$BOX_SRC/tests/engines/images.sh"
