# Reads what run-tests.sh wrote and checks it: one line a result to standard output, "PASSED FAILED SKIPPED" to the
# file `counts`, and what a failing program said to the file `failures`.
#
#   awk -v counts=FILE -v failures=FILE -f tap.awk STREAM
#
# A program has to announce how many results it gives ("1..N", first or last), give that many, and exit with 0
# unless one of them failed: a test that dies half-way is a failure whatever it had said before.

function result(good, text) {
    if (!good) {
        failed++
        bad_here++
        print "not ok - " name ": " text
        printf "not ok - %s: %s\n", name, text >failures
    } else if (text ~ /# *[Ss][Kk][Ii][Pp]/) {
        skipped++
        print "ok - " name ": " text
    } else {
        passed++
        print "ok - " name ": " text
    }
}

function finish(status, missing) {
    if (status == "")
        result(0, "was cut short")
    else if (plan < 0)
        result(0, "gave no plan (1..N), exit status " status)
    else if (seen != plan)
        result(0, "gave " seen " of " plan " results, exit status " status)
    else if (status != 0 && !bad_here)
        result(0, "exit status " status)
    if (bad_here) {
        printf "---- %s said:\n", name >failures
        for (i = (lines > 200 ? lines - 199 : 1); i <= lines; i++)
            if (said[i] !~ /^ok( |$)/)
                print "    " said[i] >failures
        printf "----\n" >failures
    }
    name = ""
}

BEGIN { name = ""; passed = failed = skipped = 0; printf "" >failures }

{ sub(/\r$/, "") }

/^@@ run / {
    if (name != "")
        finish("")
    name = $3
    plan = -1
    seen = bad_here = lines = 0
    next
}

name == "" { next }

/^@@ end / { finish($3); next }

# run-tests.sh starts each line of its own afresh, which leaves an empty one where nothing was begun.
$0 == "" { next }

{ said[++lines] = $0 }

/^1\.\.[0-9]+/ {
    plan = substr($1, 4) + 0
    if (plan == 0)
        result(1, "all # SKIP " ($0 ~ /[Ss][Kk][Ii][Pp]/ ? substr($0, match($0, /[Ss][Kk][Ii][Pp]/) + 5) : "no tests"))
    next
}

/^(not )?ok( |$)/ {
    text = $0
    good = text !~ /^not /
    sub(/^(not )?ok *[0-9]* *(- *)?/, "", text)
    # What guard and the runner add comes after the plan and is not part of it.
    if (text !~ /^(left running|left mounted|still running)/)
        seen++
    result(good, text)
}

END {
    if (name != "")
        finish("")
    print passed, failed, skipped >counts
}
