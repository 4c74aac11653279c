"""Writes a program's bytes as a C array, for the library to carry."""
import sys

data = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "w") as out:
    out.write("/* Made from the stage program by embed.py. */\n#include <stddef.h>\n\n")
    out.write("extern const unsigned char box_stage_blob[];\nextern const size_t box_stage_blob_size;\n")
    out.write("const unsigned char box_stage_blob[] = {\n")
    for i in range(0, len(data), 20):
        out.write("    " + ",".join(str(b) for b in data[i:i + 20]) + ",\n")
    out.write("};\nconst size_t box_stage_blob_size = sizeof(box_stage_blob);\n")
