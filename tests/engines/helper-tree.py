# A tree of files, entry by entry, and the difference of two such lists.
#
#   helper-tree.py list DIR            one line an entry: path, kind, mode, owner, size, mtime, content, xattrs, hard links
#   helper-tree.py compare A B [LESS]  1 when they differ, with the first differences; LESS: columns that do not count,
#                                      such as "mtime"
#
# Content is a file's SHA-256, a link's target, a device's number. A hard link is told by the first path of its group. Left
# out: what is mounted in every container, and what engines put into their roots.
import hashlib
import os
import stat
import sys

COLUMNS = ["path", "kind", "mode", "owner", "size", "mtime", "content", "xattrs", "links"]
SKIPPED = {"proc", "sys", "dev", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", ".dockerenv", "run/.containerenv"}
KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFCHR: "char", stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
}


def content_of(path, kind, st):
    if kind == "file":
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()
    if kind == "link":
        return os.readlink(path)
    return "%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev)) if kind in ("char", "block") else ""


def xattrs_of(path):
    # "trusted." is an overlay's business, and not seen in a container; "user.overlay." must not be there.
    names = [n for n in os.listxattr(path, follow_symlinks=False) if n.startswith(("user.", "security.capability", "system."))]
    return ",".join("%s=%s" % (n, os.getxattr(path, n, follow_symlinks=False).hex()) for n in sorted(names))


def entries(top):
    rows, groups = [], {}

    def enter(path, name):
        st = os.lstat(path)
        kind = KINDS[stat.S_IFMT(st.st_mode)]
        if kind != "dir" and st.st_nlink > 1:
            groups.setdefault((st.st_dev, st.st_ino), []).append(name)
        # The time of /etc is that of the places made in it to mount something on.
        rows.append([name, kind, "%04o" % stat.S_IMODE(st.st_mode), "%d:%d" % (st.st_uid, st.st_gid),
                     st.st_size if kind in ("file", "link") else 0, 0 if name == "etc" else st.st_mtime_ns,
                     content_of(path, kind, st), xattrs_of(path), (st.st_dev, st.st_ino)])
        if kind == "dir":
            for child in sorted(os.listdir(path)):
                below = name + "/" + child if name else child
                if below not in SKIPPED:
                    enter(path + "/" + child, below)

    for child in sorted(os.listdir(top)):
        if child not in SKIPPED:
            enter(top + "/" + child, child)
    for row in rows:
        group = groups.get(row[-1], [])
        row[-1] = min(group) if len(group) > 1 else ""
    return rows


def read(path, less):
    rows = {}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            row = line.rstrip("\n").split("\t")
            rows[row[0]] = {c: v for c, v in zip(COLUMNS, row) if c not in less}
    return rows


def compare(a, b):
    different = 0
    for path in sorted(a.keys() | b.keys()):
        if path not in a or path not in b:
            what = "only in the " + ("second" if path not in a else "first")
        else:
            what = ", ".join("%s %s, then %s" % (c, a[path][c] or "none", b[path][c] or "none")
                             for c in a[path] if a[path][c] != b[path][c])
        if what:
            different += 1
            if different <= 20:
                print("%s: %s" % (path, what))
    print("%d and %d entries, %d of them different" % (len(a), len(b), different))
    return different > 0


def main(verb, *arguments):
    if verb == "list":
        for row in entries(os.fsencode(arguments[0]).decode(errors="surrogateescape")):
            text = "\t".join(str(c).replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t") for c in row)
            sys.stdout.buffer.write(text.encode(errors="surrogateescape") + b"\n")
        return 0
    less = arguments[2].split(",") if len(arguments) > 2 else []
    return compare(read(arguments[0], less), read(arguments[1], less))


sys.exit(main(*sys.argv[1:]))
