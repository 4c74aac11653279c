#!/bin/sh
# The rarer flags of run, and what Docker refuses before anything starts.
. "$BOX_SRC/tests/integration/common.sh"
setup

refused() { # TEXT PATTERN FLAG...
    refused_text=$1 refused_pattern=$2
    shift 2
    status_is "$refused_text is 125" 125 box run --rm "$@" busybox true
    says "and said" "$refused_pattern"
}
refused "memory below 6 MB" 'Minimum memory limit allowed is 6MB' -m 1k
refused "more CPUs than there are" 'Range of CPUs is from 0.01 to' --cpus 100000
refused "swap below memory" 'memoryswap limit should be larger than memory' -m 64m --memory-swap 32m
refused "swap without memory" 'always set the Memory limit' --memory-swap 64m
refused "a reservation above the limit" 'less than memory reservation' -m 10m --memory-reservation 20m
refused "a relative working directory" "working directory 'rel' is invalid" -w rel
refused "a file as working directory" '/etc/passwd' -w /etc/passwd
refused "an unknown mode of a volume" 'invalid mode: frob' -v /tmp:/x:frob
refused "a volume over the root" "destination can't be '/'" -v /tmp:/
refused "a volume with a name that is none" 'invalid characters for a local volume name' -v a/b:/x
refused "too many colons" "invalid volume specification: 'a:/x:ro:y'" -v a:/x:ro:y
refused "an unknown key of --mount" "unexpected key 'frob'" --mount type=bind,src=/tmp,dst=/x,frob=1
refused "a relative source of --mount" "'rel' mount path must be absolute" --mount type=bind,src=rel,dst=/x
refused "a relative tmpfs" "'rel' mount path must be absolute" --tmpfs rel
refused "an unknown mode of --ipc" 'invalid ipc mode: frob' --ipc frob
refused "an unknown mode of --pid" 'invalid pid mode: frob' --pid frob
refused "a container to join that is not there" 'No such container: nobody' --pid container:nobody
refused "an environment without a name" 'invalid environment variable: =x' -e =x
refused "a rule for devices that is none" 'device-cgroup-rule' --device-cgroup-rule 'x 1:3 rwm'
refused "an OOM score out of range" 'range for oom score adj' --oom-score-adj 5000
refused "a restart policy" 'invalid restart policy: always' --restart always
refused "a published port" 'ports cannot be published' -p 80:80
refused "another platform" 'does not match the specified platform: wanted linux/s390x' --platform linux/s390x
refused "an unknown stream" 'valid streams are' -a stdfrob
refused "-a with -d" 'Conflicting options: -a and -d' -a stdout -d
refused "a truth value that is none" 'invalid argument "maybe" for "--rm"' --init --rm=maybe
refused "a sysctl without a value" 'invalid argument "net.core.somaxconn"' --sysctl net.core.somaxconn
refused "a group by name" 'a group is added by its number' --group-add frob
no_containers "none of these left a container"
is "nor a volume" "$(ls "$BOX_TMP/root/volumes")" ""
for flag in '--frob' '-Z' '--name'; do
    status_is "run $flag is 125" 125 box run "$flag"
    says "in one line" "see 'box run --help'"
done
status_is "run without an image is 1" 1 box run
says "and said" "'run' requires at least 1 argument"
status_is "an unknown verb is 1" 1 box frob
says "and said" "'frob' is not a box command"
for verb in rm stop kill start wait pause unpause restart inspect rmi; do
    status_is "$verb without a name is 1" 1 box "$verb"
    says "and said" "'$verb' requires at least 1 argument"
done
status_is "update without flags is 1" 1 box update nobody
says "and said" 'one or more flags'

is "--add-host" "$(box run --rm --add-host db.example:10.1.2.3 busybox grep -c '^10.1.2.3	db.example$' /etc/hosts)" 1
is "--dns, --dns-search, --dns-option" \
    "$(box run --rm --dns 9.9.9.9 --dns-search ex.org --dns-option ndots:2 busybox cat /etc/resolv.conf | tr '\n' '|')" \
    "search ex.org|nameserver 9.9.9.9|options ndots:2|"
is "--domainname" "$(box run --rm --domainname example busybox cat /proc/sys/kernel/domainname)" example
is "HOSTNAME is in the environment, of exec too" "$(box run -d --name web --hostname hal busybox sleep 1000 >/dev/null; box exec web env | grep HOSTNAME)" HOSTNAME=hal
is "--pid container:" "$(box run --rm --pid container:web busybox readlink /proc/self/ns/pid)" "$(box exec web readlink /proc/self/ns/pid)"
is "--network container:" "$(box run --rm --network container:web busybox readlink /proc/self/ns/net)" "$(box exec web readlink /proc/self/ns/net)"
printf '# no\nfile=1\nboth=1\n' >"$BOX_TMP/labels"
is "--label-file, --label goes over it" \
    "$(box create --name lab --label-file "$BOX_TMP/labels" --label both=2 busybox true >/dev/null; box inspect -f '{{json .Config.Labels}}' lab)" \
    '{"file":"1","both":"2"}'
is "-a stdout leaves standard error out" "$(box run --rm -a stdout busybox sh -c 'echo out; echo err >&2' 2>&1)" out
is "the user's group is among its groups (CVE-2022-36109)" "$(box run --rm -u 4321:1234 busybox grep Groups: /proc/self/status | tr -s '\t ' ' ')" "Groups: 1234 "
box rm -f web lab >/dev/null

# ---- volumes
fixture_rootfs "$BOX_TMP/vol"
mkdir -p "$BOX_TMP/vol/data/sub" && echo content >"$BOX_TMP/vol/data/sub/file" && ln -s sub/file "$BOX_TMP/vol/data/link"
chmod 1777 "$BOX_TMP/vol/data"
box import -c 'VOLUME /data' -c 'CMD ["sh"]' -c 'LABEL from=image' "$BOX_TMP/vol" vol >/dev/null
is "a new volume begins with what the image has there" "$(box run --rm -v keep:/data vol cat /data/link)" content
is "with its mode" "$(box run --rm -v keep:/data vol stat -c %a /data)" 1777
ok "what is changed in it stays" box run --rm -v keep:/data vol sh -c 'echo mine >/data/sub/file; rm /data/link'
is "and is not filled again" "$(box run --rm -v keep:/data vol sh -c 'cat /data/sub/file; ls /data')" "$(printf 'mine\nsub')"
is "nocopy leaves it empty" "$(box run --rm -v bare:/data:nocopy vol ls /data)" ""
is "an image's volume is one without a name" "$(box create --name anon vol true >/dev/null; box inspect -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{len .Name}}{{end}}' anon)" "volume /data 64"
is "its labels are the container's" "$(box inspect -f '{{.Config.Labels.from}}' anon)" image
ok "rm -v takes it away" box rm -v anon
is "with nothing left" "$(ls "$BOX_TMP/root/volumes" | tr '\n' ' ')" "bare keep "
ok "so does --rm" box run --rm -v /more vol true
ok "and --rm of one in the background" box run -d --rm vol true
ok "at its end" eventually sh -c '[ "$(ls "$1/root/volumes" | wc -l)" -eq 2 ]' sh "$BOX_TMP"
is "--volumes-from" "$(box create --name donor -v keep:/kept busybox true >/dev/null; box run --rm --volumes-from donor busybox cat /kept/sub/file)" mine
not_ok "--volumes-from read only" box run --rm --volumes-from donor:ro busybox touch /kept/no
is "-v makes the host's directory" "$(box run --rm -v "$BOX_TMP/new/dir:/x" busybox sh -c 'cd /x && echo there')" there
box rm -v donor >/dev/null
no_containers "nothing is left"
done_testing
