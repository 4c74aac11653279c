#!/bin/sh
# Images to and from buildah: images.sh.
peer=buildah
. "$BOX_SRC/tests/engines/images.sh"
