# What `holdfast-tuning` does to a kernel where everything may be changed, and undoes; and what a
# gateway in one process with one shard takes there for CLIENTS clients, if there are to be any.
# Emulation is slow, so they have time: nobody is late here who is late by some minutes.
clients=$1
tuning="/guest/holdfast-tuning"
goal="--connections 1000000 --pushes 50000"

# Every setting that the program knows, and every file that it may write.
snapshot() {
    settings
    for file in /sys/kernel/mm/transparent_hugepage/enabled /proc/irq/*/smp_affinity_list; do
        echo "== $file"
        cat "$file" 2>/dev/null
    done
    find /etc /var /run | sort
    find /etc /var /run -type f | sort | while read -r file; do echo "== $file"; cat "$file"; done
}
# What the plan changes, a line each: the setting, and what is to be written.
planned() {
    $tuning check $goal --json | tr '{' '\n' | grep '"state":"change"' |
        sed 's/.*"setting":"\([^"]*\)".*"write":"\([^"]*\)".*/\1 \2/'
}
# Whether the kernel has a value, as a list of numbers or as the one of several words that is taken.
has() {
    local file=/proc/sys/${1//.//} now
    [ "${1:0:1}" = / ] && file=$1
    now=$(tr '\t' ' ' <"$file")
    [ "$now" = "$2" ] || [[ $now == *"[$2]"* ]]
}
at_least() { [ "$(awk -v n="$2" '{print $n}' "/proc/sys/$1")" -ge "$3" ]; }

# A gateway with its clients, once. How long they have grows with them; the load is told line by
# line, since a guest's screen is a terminal.
serve() {
    local more=$((clients / 400))
    set -o pipefail
    ulimit -n 1048576
    /guest/holdfast serve --set shards=1 --set client.connections_max="$clients" \
        --set store.kind=none --set log.level=warn --set socket.user_timeout=1800s &
    gateway=$!
    ready() { wget -q -O /dev/null http://127.0.0.1:7700/readyz; }
    for _ in $(seq 120); do ready 2>/dev/null && break; sleep 1; done
    must gateway_is_ready ready
    # Also where the load does not come to its end.
    while sleep 60 && grep -H RssAnon /proc/$gateway/status; do grep Slab: /proc/meminfo; done &
    /guest/holdfast-loadgen run -n "$clients" --io uring --heartbeat 1800 --connect-rate 4000 \
        --login-timeout $((600 + more)) --rate 50 --duration 10 --drain $((600 + more)) \
        --broadcasts 1 --broadcast-users $((1000 + more)) --every 20 --json /tmp/report.json \
        2>&1 | cat
    must every_client_is_served [ $? = 0 ]
    grep -A12 '"memory"' /tmp/report.json
    kill $gateway
    wait $gateway
}

echo "tests tuning"
mkdir -p /etc /var/lib /run
sysctl -qw fs.nr_open=1048576 fs.file-max=100000
snapshot >/tmp/before
$tuning check $goal
# Where the guest's memory is too small for the goal (3), what can be set is set all the same.
[ $? = 3 ] && made=3 || made=0
planned >/tmp/plan
must check_changes_nothing same /tmp/before
must dry_run_succeeds ends_with $made $tuning apply $goal --persist --dry-run
must dry_run_changes_nothing same /tmp/before

must apply_succeeds ends_with $made $tuning apply $goal --persist --yes
must nr_open_is_set at_least fs/nr_open 1 1129472
must file_max_is_set at_least fs/file-max 1 1270000
must somaxconn_is_set at_least net/core/somaxconn 1 16384
must tcp_mem_is_set at_least net/ipv4/tcp_mem 3 180000
must backlog_is_set at_least net/core/netdev_max_backlog 1 16384
nothing_left() { ! $tuning check $goal --json | grep -q '"state":"change"'; }
must everything_is_set nothing_left
while read -r setting value; do
    must "${setting}_has_its_value" has "$setting" "$value"
done </tmp/plan
many() { [ "$(wc -l </tmp/plan)" -ge 15 ]; }
must many_values_were_looked_at many
snapshot >/tmp/applied
must apply_again_succeeds ends_with $made $tuning apply $goal --persist --yes
must applied_twice_is_applied_once same /tmp/applied

[ "$clients" = 0 ] || serve

# What somebody sets since is theirs, until it is forced.
sysctl -qw net.core.somaxconn=20000
must undo_leaves_what_is_somebody_s ends_with 1 $tuning undo
must it_is_still_theirs at_least net/core/somaxconn 1 20000
must the_rest_is_undone [ "$(cat /proc/sys/fs/nr_open)" = 1048576 ]
must undo_is_forced $tuning undo --force
must forced_is_as_before same /tmp/before
must apply_succeeds_after_it ends_with $made $tuning apply $goal --persist --yes
must undo_succeeds $tuning undo
must undone_is_as_before same /tmp/before
for step in 1 2 3 4 5 6 7 8 9 10 11 12; do
    $tuning apply $goal --persist --yes >/dev/null &
    change=$!
    usleep $((step * 8000))
    kill -9 $change 2>/dev/null
    wait $change 2>/dev/null
    [ $((step % 3)) = 0 ] && $tuning apply $goal --yes >/dev/null
    $tuning undo >/dev/null
    must "killed_at_moment_${step}_it_is_undone" same /tmp/before
done
exit $failed
