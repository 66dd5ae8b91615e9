# What the scripts of a guest have in common. A line for each claim, as cargo's tests have it;
# `failed` is what the script ends with.
failed=0
# must NAME COMMAND...: the command succeeds.
must() {
    local name=$1
    shift
    if "$@"; then echo "test $name ... ok"; else echo "test $name ... FAILED"; failed=1; fi
}
# ends_with CODE COMMAND...: the command ends with this exit code.
ends_with() { local code=$1; shift; "$@"; [ $? = "$code" ]; }
# Every setting of the kernel that the program knows.
settings() {
    $tuning explain | while read -r name _; do
        file=/proc/sys/${name//.//}
        [ -f "$file" ] && echo "== $file" && cat "$file"
    done
}
# same FILE: the snapshot that was put there is as one is now.
same() { snapshot >/tmp/now; cmp -s "$1" /tmp/now || { diff "$1" /tmp/now; return 1; }; }

echo "kernel $(uname -rv)"
