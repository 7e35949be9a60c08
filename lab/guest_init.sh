#!/bin/busybox sh
# The first process of a guest. Its root is the host's, which it cannot change: what is written
# stays in memory. Runs one command there and leaves its output and exit code in a folder of the host.
busybox mkdir -p /proc /host /memory /root
busybox mount -t proc proc /proc
# Modules need each other; each round loads those whose needs are met.
for round in 1 2 3 4 5; do
    for module in /modules/*.ko; do
        busybox insmod "$module" 2>/dev/null
    done
done
export HOME=/root LANG=C.UTF-8
options=trans=virtio,version=9p2000.L,msize=512000
busybox mount -t 9p -o $options,ro,cache=none host /host
busybox mount -t tmpfs memory /memory
busybox mkdir /memory/upper /memory/work
# Old kernels fetch what is mapped page by page: the compiler's libraries are fetched whole instead.
while read -r library; do
    busybox mkdir -p "/memory/upper/${library%/*}"
    busybox dd if="/host/$library" of="/memory/upper/$library" bs=512k 2>/dev/null
    busybox chmod 755 "/memory/upper/$library"
done </libraries
busybox umount /host
busybox mount -t 9p -o $options,ro,cache=loose host /host
busybox mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /root
busybox mount -t devtmpfs dev /root/dev
busybox mkdir -p /root/dev/shm /root/dev/pts
busybox mount -t tmpfs shm /root/dev/shm
busybox mount -t devpts pts /root/dev/pts
busybox mount -t proc proc /root/proc
busybox mount -t sysfs sys /root/sys
busybox mount -t debugfs debugfs /root/sys/kernel/debug
busybox mount -t tracefs tracefs /root/sys/kernel/tracing
busybox mount -t bpf bpf /root/sys/fs/bpf
busybox mount -t 9p -o $options results /root/mnt
busybox ip link set lo up
busybox chroot /root /bin/bash /mnt/command >/root/mnt/output 2>&1
echo $? >/root/mnt/code
busybox umount /root/mnt
busybox poweroff -f
