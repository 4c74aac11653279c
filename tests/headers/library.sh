#!/bin/sh
# What a host program cannot forgive a library, as far as the finished libbox.so shows it: foreign names exported,
# libraries dragged in, code at load time, mutable state of its own, calls that print, exit or change the process.
. "$BOX_SRC/tests/lib/tap.sh"
lib=$BOX_BUILD/lib/libbox.so
[ -e "$lib" ] || skip_all "no $lib"

is "only box_* is exported" "$(nm -D --defined-only "$lib" | awk '{ print $NF }' |
    sed 's/@.*//' | grep -v '^box_' | grep -v '^LIBBOX_[0-9.]*$')" ''

needed=$(readelf -d "$lib" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
is "only libc and the four libraries are linked" "$(printf '%s\n' "$needed" | grep -vE \
    '^(libc\.so\.6|libc\.musl-.*\.so\.1|ld-linux.*|libmount\.so\.1|libseccomp\.so\.2|libcap-ng\.so\.0|libjson-c\.so\.[0-9]+)$')" ''

undefined=" $(nm -D -u "$lib" | awk '{ print $NF }' | sed 's/@.*//' | tr '\n' ' ')"
absent() { # WHY NAME...
    why=$1
    shift
    found=''
    for name; do
        for variant in "$name" "__${name}_chk" "${name}64"; do
            case $undefined in *" $variant "*) found="$found $variant" ;; esac
        done
    done
    is "$why: calls none of $*" "$found" ''
}
absent "ends no process" exit _Exit quick_exit abort __assert_fail err errx
absent "prints nothing" printf vprintf puts putchar perror psignal warn warnx stdout stderr syslog
absent "runs nothing at exit or fork" atexit on_exit __cxa_atexit pthread_atfork
absent "leaves signals' handling alone" signal sigaction bsd_signal sysv_signal __sysv_signal sigset siginterrupt alarm \
    setitimer
absent "leaves directory, mask and environment alone" chdir fchdir chroot umask setenv putenv unsetenv clearenv
absent "leaves the process's ids alone" setuid setgid seteuid setegid setreuid setregid setresuid setresgid \
    setgroups initgroups
absent "waits for none but its own" wait wait3
absent "never copies the host" fork vfork daemon system popen
absent "asks the host's name services nothing" getpwnam getpwuid getgrnam getgrgid getpwnam_r getpwuid_r getgrnam_r \
    getgrgid_r getgrouplist getaddrinfo gethostbyname
absent "uses nothing without bounds" sprintf vsprintf strcpy strcat gets scanf
absent "uses nothing with hidden state" strtok rand srand random strerror localtime gmtime asctime ctime readdir_r \
    tmpnam tempnam mktemp tmpfile basename dirname setlocale

section_size() { # SECTION: in bytes, 0 when there is none
    readelf -SW "$lib" | sed 's/^ *\[ *[0-9]*\] *//' |
        awk -v s="$1" '$1 == s { size = $5 } END { print size == "" ? 0 : size }' | sed 's/^0*\([0-9a-f]\)/\1/'
}
# One pointer each, to the compiler's own frame_dummy and __do_global_dtors_aux.
pointer=8
readelf -h "$lib" | grep -q ELF64 || pointer=4
is "runs no constructor at load" "$(section_size .init_array) $(section_size .preinit_array) $(section_size .ctors)" \
    "$pointer 0 0"
is "runs no destructor at unload" "$(section_size .fini_array) $(section_size .dtors)" "$pointer 0"
if nm "$lib" 2>/dev/null | grep -q ' frame_dummy$'; then
    init=$(readelf -SW "$lib" | sed 's/^ *\[ *[0-9]*\] *//' | awk '$1 == ".init_array" { print $3 }' | sed 's/^0*//')
    target=$(readelf -rW "$lib" | awk -v at="$init" '{ sub(/^0*/, "", $1) } $1 == at { print $NF }' | sed 's/^0*//')
    is "what runs at load is the compiler's frame_dummy" "$target" "$(nm "$lib" | sed -n 's/^0*\([0-9a-f]*\) . frame_dummy$/\1/p')"

    # What may be there: once, table, usable, the function table of a library that is opened on first use, filled in
    # once and the same for everybody (base/libcrypto.c).
    # Sections that stay writable after relocation; .data.rel.ro does not.
    writable=$(readelf -SW "$lib" | sed 's/^ *\[ *\([0-9]*\)\] */\1 /' |
        awk '$2 ~ /^\.(data|bss|tdata|tbss)$/ { printf " %s ", $1 }')
    is "holds no mutable state of its own" "$(readelf -sW "$lib" | awk -v w="$writable" '
        $4 ~ /OBJECT|TLS|COMMON/ && index(w, " " $7 " ") { print $8 }' | sort -u |
        grep -vE '^(completed\.[0-9]+|__dso_handle|__TMC_END__|once|table|usable)$')" ''
else
    skip "what runs at load is the compiler's frame_dummy" "the library is stripped"
    skip "holds no mutable state of its own" "the library is stripped"
fi
not_ok "asks for no executable stack" sh -c "readelf -lW '$lib' | grep GNU_STACK | grep -q E"
ok "relocations are read-only after loading" sh -c "readelf -lW '$lib' | grep -q GNU_RELRO"
done_testing
