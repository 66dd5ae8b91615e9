# What `holdfast-tuning` does to a network card with four queues, and undoes: a card of virtio, whose
# driver's MODULES come in the order in which they are loaded.
tuning="/guest/holdfast-tuning"
goal="--connections 20000 --memory 1G --cores 4"
all=/sys/class/net

echo "tests card"
mkdir -p /etc /var/lib /run
for module in "$@"; do insmod "/guest/$module.ko"; done
card=$(for name in $(ls $all); do [ -e "$all/$name/device" ] && echo "$name"; done | head -1)
must there_is_a_card [ -n "$card" ]
ip link set "$card" up

# The card, its interrupts, every other setting that the program knows, and every file it may write.
snapshot() {
    ethtool -l "$card"
    ethtool -x "$card"
    for file in $all/"$card"/queues/*/{xps_cpus,rps_cpus,rps_flow_cnt} /proc/irq/*/smp_affinity_list; do
        echo "== $file"
        cat "$file" 2>/dev/null
    done
    settings
    find /etc /var /run | sort
}
queues() { ethtool -l "$card" | awk '/^Combined/ { n = $2 } END { print n }'; }
# Which queues the table has, in order.
spread() { ethtool -x "$card" | awk '/^ +[0-9]+:/ { $1 = ""; print }' | xargs -n 1 | sort -nu | xargs; }
sends_from_its_core() {
    local queue
    for queue in 0 1 2 3; do
        [ $((0x$(cat $all/"$card"/queues/tx-$queue/xps_cpus))) = $((1 << queue)) ] || return 1
    done
}
nothing_left() { ! $tuning check $goal --json | grep -q '"state":"change"'; }
undone() { $tuning undo "$@" && same /tmp/before; }

# As somebody has set it who knew why: few queues, a table of one of them, cores of their own.
ethtool -L "$card" combined 2
ethtool -X "$card" equal 1
echo 8 >$all/"$card"/queues/tx-0/xps_cpus
snapshot >/tmp/before
must check_changes_nothing [ "$($tuning check $goal >/dev/null; echo $?)" = 1 ]
must dry_run_succeeds $tuning apply $goal --dry-run
must both_leave_it same /tmp/before

must apply_succeeds $tuning apply $goal --yes
must a_queue_for_each_shard [ "$(queues)" = 4 ]
must the_table_has_all_of_them [ "$(spread)" = "0 1 2 3" ]
must each_core_sends_by_its_own sends_from_its_core
must everything_is_set nothing_left
snapshot >/tmp/applied
must apply_again_succeeds $tuning apply $goal --yes
must applied_twice_is_applied_once same /tmp/applied
must undone_is_as_before undone

# Whoever sets the table again has their own.
must apply_succeeds_after_it $tuning apply $goal --yes
ethtool -X "$card" equal 3
must undo_leaves_what_is_somebody_s ends_with 1 $tuning undo
must it_is_still_theirs [ "$(spread)" = "0 1 2" ]
must the_queues_that_it_names_are_left [ "$(queues)" = 4 ]
must again_it_is_left ends_with 1 $tuning undo
must forced_is_as_before undone --force

# Whoever takes queues away leaves none for the table that was there.
ethtool -X "$card" equal 2
snapshot >/tmp/before
must apply_succeeds_on_a_table_of_two $tuning apply $goal --yes
ethtool -L "$card" combined 1
must undo_leaves_these_queues ends_with 1 $tuning undo
must forced_these_are_as_before undone --force

# With one queue neither table nor XPS matter, and they are to be there again.
ethtool -L "$card" combined 1
ethtool -X "$card" equal 1
echo 2 >$all/"$card"/queues/tx-0/xps_cpus
snapshot >/tmp/before
must apply_succeeds_on_one_queue $tuning apply $goal --yes
must one_queue_is_as_before undone

for step in 1 2 3 4 5 6 7 8 9 10; do
    $tuning apply $goal --yes >/dev/null &
    change=$!
    usleep $((step * 60000))
    kill -9 $change 2>/dev/null
    wait $change 2>/dev/null
    must "killed_at_moment_${step}_it_is_undone" undone
done
for step in 1 2 3 4 5 6 7 8 9 10; do
    $tuning apply $goal --yes >/dev/null
    $tuning undo >/dev/null &
    change=$!
    usleep $((step * 30000))
    kill -9 $change 2>/dev/null
    wait $change 2>/dev/null
    must "undo_that_is_killed_at_moment_${step}_goes_on" undone
done
exit $failed
