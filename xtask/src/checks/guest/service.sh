# Starts systemd on a Debian of its own, in namespaces of this guest: it is process 1 there, and
# owns every control group. It runs /guest/inside.sh and goes; what that printed is shown.
echo "kernel $(uname -rv)"
echo "tests service"
mkdir -p /debian
mount -t tmpfs -o size=1400m,mode=755 debian /debian
tar -xf /guest/debian.tar -C /debian && rm /guest/debian.tar
mkdir -p /debian/guest
cp /guest/inside.sh /guest/*.deb /debian/guest/
cat >/debian/etc/systemd/system/inside.service <<'UNIT'
[Unit]
After=multi-user.target dbus.service systemd-journald.service
[Service]
Type=oneshot
Environment=HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/bash /guest/inside.sh
ExecStopPost=/bin/systemctl poweroff --force --force
StandardOutput=file:/guest/said
StandardError=file:/guest/said
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p /debian/etc/systemd/system/multi-user.target.wants
ln -s ../inside.service /debian/etc/systemd/system/multi-user.target.wants/
# It is not a container's: everything may be mounted and set as on a host.
: >/debian/etc/machine-id
: >/debian/guest/said
tail -f /debian/guest/said &
shown=$!
unshare -m -p -f /bin/sh -c '
    mount --make-rprivate / 2>/dev/null
    cd /debian
    mount -t proc proc proc
    mount -t sysfs sys sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs tmpfs run
    mount --rbind /dev dev
    mount --move . /
    exec chroot . /usr/bin/env -i container=other TERM=dumb /lib/systemd/systemd --system
' </dev/null >/debian/guest/console 2>&1
sleep 2
kill $shown
grep -q '^ended 0$' /debian/guest/said && exit 0
tail -50 /debian/guest/console
exit 1
