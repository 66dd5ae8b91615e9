# On a Debian with systemd: the package from its installation to its purge, and the gateway in the
# sandbox of its unit.
cd /guest
failed=0
# must NAME COMMAND...: the command succeeds.
must() {
    local name=$1
    shift
    if "$@"; then echo "test $name ... ok"; else echo "test $name ... FAILED"; failed=1; fi
}
is() { [ "$(systemctl show -P "$1" holdfast)" = "$2" ] || { systemctl show -P "$1" holdfast; false; }; }
said() { journalctl -u holdfast --no-pager -o cat | grep -q -- "$1"; }
quietly() { "$@" >/dev/null; }
# What the package, systemd and the user's database leave is in none of these.
files() {
    find /etc /usr /lib /opt /srv /var ! -path '/var/lib/dpkg/*' ! -path '/var/log/*' \
        ! -path '/var/tmp/*' ! -path '/var/cache/*' ! -path '/var/lib/systemd/*' \
        ! -path '/etc/*-' ! -path '/etc/.pwd*' | sort
}
logins() { holdfast-loadgen run -n 200 --duration 5 --rate 20 --login-timeout 120 --drain 60; }

systemctl is-system-running
files >/tmp/before
must package_is_installed dpkg -i holdfast.deb holdfast-loadgen.deb
must user_is_made getent passwd holdfast
must nothing_is_enabled [ "$(systemctl is-enabled holdfast)" = disabled ]
must nothing_is_started [ "$(systemctl is-active holdfast)" = inactive ]
must configuration_is_a_conffile grep -q holdfast.toml /var/lib/dpkg/info/holdfast.conffiles
must configuration_is_taken quietly holdfast config -c /etc/holdfast/holdfast.toml
for page in holdfast holdfast-push holdfast.toml holdfast-tuning holdfast-loadgen-run; do
    must "page_of_${page}_is_found" man -w "$page"
done
must exposure_is_low quietly systemd-analyze security --no-pager --threshold=15 holdfast
systemd-analyze security --no-pager holdfast | tail -1

must service_starts systemctl start holdfast
must it_told_systemd_that_it_serves is SubState running
pid=$(systemctl show -P MainPID holdfast)
grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' "/proc/$pid/status"
runs_as() {
    [ "$(stat -c %U "/proc/$pid")" = holdfast ] && grep -q 'CapEff:.0*$' "/proc/$pid/status"
}
must it_runs_as_its_user_without_capabilities runs_as
must it_serves_on_io_uring said io=uring
must clients_log_in_and_are_pushed_to logins
fed=$(systemctl show -P WatchdogTimestampMonotonic holdfast)
sleep 45
must watchdog_is_fed [ "$(systemctl show -P WatchdogTimestampMonotonic holdfast)" -gt "$fed" ]
must service_stops systemctl stop holdfast
must it_ended_in_order is Result success
must it_says_so said ' left '

# The guest has too little memory for so many, which is what 3 says; what can be set is set.
set_as_far_as_it_goes() {
    holdfast-tuning apply --connections 2000000 --yes --persist
    [ $? = 3 ]
}
must kernel_is_set set_as_far_as_it_goes
systemctl daemon-reload
must service_starts_with_its_limits systemctl start holdfast
pid=$(systemctl show -P MainPID holdfast)
must limits_are_those_of_the_goal grep -q 'Max open files *22[0-9]*' "/proc/$pid/limits"
must kernel_is_set_at_its_start [ "$(systemctl is-active holdfast-tuning)" = active ]
journalctl -u holdfast --no-pager -o cat | tail -15
must an_upgrade_leaves_it_alone dpkg -i holdfast.deb
must it_is_the_same_process is MainPID "$pid"
must kernel_is_set_back holdfast-tuning undo
systemctl daemon-reload

must package_is_removed dpkg -r holdfast holdfast-loadgen
must it_runs_no_more [ "$(systemctl is-active holdfast)" != active ]
must configuration_stays [ -e /etc/holdfast/holdfast.toml ]
must package_is_purged dpkg -P holdfast
files >/tmp/after
left() { diff /tmp/before /tmp/after | grep '^[<>]' | grep -v '^> /var/lib/\(private\|holdfast\)'; }
must nothing_but_data_is_left [ -z "$(left)" ]
left
echo "ended $failed"
exit $failed
