#!/bin/sh
# Images to and from skopeo, which carries images and keeps none: images.sh.
peer=skopeo
. "$BOX_SRC/tests/engines/images.sh"
