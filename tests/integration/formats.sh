#!/bin/sh
# --format, --filter, -q, --no-trunc: the columns, templates and filters of ps, images, inspect, stats and top.
. "$BOX_SRC/tests/integration/common.sh"
setup

id=$(box run -d --name web --label tier=front --label empty busybox sh -c 'trap "exit 3" TERM; echo "it'\''s up"; while :; do sleep 0.1; done')
box create --name idle busybox:latest true >/dev/null

# ---- ps
# Two of them by how long ago it was: from "1 second ago" to "Less than a second ago".
like "the heads are Docker's, at Docker's widths" "$(box ps | head -n 1)" \
    '^CONTAINER ID   IMAGE     COMMAND                   CREATED {8,18}STATUS {8,18}PORTS     NAMES$'
like "the image is as it was asked for" "$(box ps -a --format '{{.Names}}={{.Image}}' | sort | tr '\n' ' ')" '^idle=busybox:latest web=busybox '
like "a long command is cut, its quotes are escaped" "$(box ps --format '{{.Command}}')" '^"sh -c .trap \\"exit 3…"$'
like "and whole with --no-trunc" "$(box ps --no-trunc --format '{{.Command}}')" 'done.*"$'
is "-q is the short id" "$(box ps -q)" "$(echo "$id" | cut -c 1-12)"
is "-q --no-trunc the whole" "$(box ps -q --no-trunc)" "$id"
is "-l is the newest" "$(box ps -l --format '{{.Names}}')" idle
is "-n as many" "$(box ps -n 2 -q | wc -l | tr -d ' ')" 2
is "a template" "$(box ps --format '{{.ID}} {{.Names}} {{.State}}')" "$(echo "$id" | cut -c 1-12) web running"
is "a table of one's own" "$(box ps --format 'table {{.Names}}\t{{.State}}\t{{.Label "tier"}}' | tr '\n' '|')" "NAMES     STATE     tier|web       running   front|"
like "json is one object a line" "$(box ps --format json)" '^\{"Command":.*"Names":"web".*"State":"running".*\}$'
is "status=" "$(box ps -f status=created --format '{{.Names}}')" idle
is "name= is a pattern" "$(box ps -a -f 'name=^/?w' --format '{{.Names}}')" web
is "label= with a value" "$(box ps -a -f label=tier=front --format '{{.Names}}')" web
is "and without" "$(box ps -a -f label=empty -q | wc -l | tr -d ' ')" 1
is "another value is another" "$(box ps -a -f label=tier=back -q)" ""
is "ancestor=" "$(box ps -a -f ancestor=busybox -q | wc -l | tr -d ' ')" 2
is "since=" "$(box ps -a -f since=web --format '{{.Names}}')" idle
is "two names are either" "$(box ps -a -f name=web -f name=idle -q | wc -l | tr -d ' ')" 2
is "two keys are both" "$(box ps -a -f name=web -f status=created -q)" ""
status_is "an unknown filter is 1" 1 box ps -f frob=1
says "and is named" "invalid filter 'frob'"
status_is "a filter without a value is 125" 125 box ps -f frob
status_is "ps takes no arguments" 1 box ps web

# ---- templates
t() { box inspect --format "$1" web; }
is "fields" "$(t '{{.Name}} {{.State.Status}} {{.Config.Tty}} {{.HostConfig.Memory}}')" "/web running false 0"
is "json" "$(t '{{json .Config.Labels}}')" '{"tier":"front","empty":""}'
is "index and len" "$(t '{{index .Config.Cmd 0}} {{len .Config.Cmd}} {{index .Config.Labels "tier"}}')" "sh 3 front"
is "range over a map" "$(t '{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}')" "tier=front;empty=;"
is "range over a list, and else" "$(t '{{range .Mounts}}x{{else}}none{{end}}{{range $i, $a := .Args}}{{if eq $i 0}}{{$a}}{{end}}{{end}}')" none-c
is "if, else if, else" "$(t '{{if .State.Paused}}p{{else if .State.Running}}r{{else}}n{{end}}')" r
is "with, and the root" "$(t '{{with .State}}{{.Status}} {{$.Name}}{{end}}')" "running /web"
is "pipes and functions" "$(t '{{.State.Status | upper}} {{printf "%s-%d" .Name 7}} {{join (split "a,b" ",") "+"}} {{lower "AB"}} {{not false}}')" \
    "RUNNING /web-7 a+b ab true"
is "comparisons" "$(t '{{eq 1 2 1}} {{ne .Name "/web"}} {{lt 1 2}} {{ge 1 2}} {{and true .State.Paused}} {{or "" "x"}}')" \
    "true false true false false x"
is "remarks and trimmed space" "$(t 'a  {{- /* no */ -}}  b')" ab
for bad in '{{.State.Frob}}' '{{.Name' '{{frob .}}' '{{if .Name}}x' '{{end}}' '{{index .Config.Cmd 9}}' '{{.Name.X}}' '{{"open}}' '{{(.Name}}'; do
    status_is "$bad is 1" 1 box inspect -f "$bad" web
    says "and said" 'template'
    is "with nothing on standard output" "$OUT" ""
done
deep=$(awk 'BEGIN { for (i = 0; i < 500; i++) printf "{{with .}}" }')
status_is "a template that is too deep is 1" 1 box inspect -f "$deep" web

# ---- inspect
like "inspect is a list in four spaces" "$(box inspect web | head -n 3 | tr '\n' '|')" '^\[\|    \{\|        "Id": "'
is "of several" "$(box inspect -f '{{.Name}}' web idle | tr '\n' ' ')" "/web /idle "
status_is "what is not there is 1" 1 box inspect web nobody
like "and the others are shown" "$OUT" '"Name": "/web"'
like "an image's has its names" "$(box inspect -f '{{json .RepoTags}} {{.Os}} {{.RootFS.Type}}' busybox)" '^\["busybox:latest"\] linux layers$'
status_is "--type keeps to one kind" 1 box inspect --type image web
says "and says so" 'No such image: web'
is "json is one line" "$(box inspect -f json web | wc -l | tr -d ' ')" 1

# ---- images
is "the heads of images" "$(box images | head -n 1 | tr -s ' ')" "REPOSITORY TAG IMAGE ID CREATED SIZE"
is "a template of images" "$(box images --format '{{.Repository}}:{{.Tag}}')" busybox:latest
is "one name" "$(box images -q busybox | wc -l | tr -d ' ')" 1
is "another" "$(box images -q alpine)" ""
is "reference=" "$(box images -f 'reference=busy*' --format '{{.Repository}}')" busybox
is "dangling=" "$(box images -q -f dangling=true)" ""
status_is "an unknown filter of images is 1" 1 box images -f frob=1

# ---- stats, top
like "stats by a template" "$(box stats --no-stream --format '{{.Name}} {{.PIDs}}' web)" '^web [0-9]+$'
is "stats -a has those that do not run" "$(box stats --no-stream -a --format '{{.Name}} {{.MemUsage}}' | grep idle)" "idle 0B / 0B"
is "top's heads" "$(box top web | head -n 1 | tr -s ' ')" "UID PID PPID C STIME TTY TIME CMD"
like "and its processes" "$(box top web)" 'sh -c trap'
if ps -o pid,comm -p $$ >/dev/null 2>&1; then
    is "options are ps's, of its processes only" "$(box top web -eo pid,comm | tail -n +2 | grep -cv -E ' (sh|sleep|busybox)$')" 0
    status_is "they must show the PID" 1 box top web -eo comm
else
    skip "options are ps's, of its processes only" "no ps(1) of procps"
    skip "they must show the PID" "no ps(1) of procps"
fi

# ---- versions
like "version" "$(box version --format '{{.Client.Version}} {{.Client.Os}}')" '^[0-9]+\.[0-9]+\.[0-9]+ linux$'
is "info counts" "$(box info --format '{{.Containers}} {{.ContainersRunning}} {{.Images}}')" "2 1 1"
box rm -f web idle >/dev/null
no_containers "nothing is left"
done_testing
