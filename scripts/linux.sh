# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
# shellcheck disable=SC2154 # lib.sh sets build
# A Debian kernel and a busybox file system for the hypervisor, in the build folder alone; and the run that checks them.
packages_linux=(lz4 cpio xz-utils)

# fetch_package NAME FOLDER [PATTERNS...]: unpacks the Debian package into the folder, once: of its files those that match a
# pattern of find -path, or all. Others may want it at the same time.
fetch_package() {
    local name=$1 folder=$2 work pattern lock not=()
    shift 2
    exec {lock}>"$build/fetch.lock"
    flock "$lock"
    if [[ ! -d $folder ]]; then
        work=$(mktemp -d "$build/fetch.XXXXXX")
        (cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$name" >/dev/null) || die "can't download $name"
        dpkg -x "$work"/*.deb "$work/files"
        for pattern in "$@"; do not+=(! -path "$pattern"); done
        (($# == 0)) || find "$work/files" -type f "${not[@]}" -delete
        mv "$work/files" "$folder"
        rm -r "$work"
    fi
    exec {lock}>&-
}

# extract_vmlinux BZIMAGE FILE: the kernel without its decompressor, which would be interpreted too.
extract_vmlinux() {
    python3 - "$1" "$2.lz4" <<'PYTHON' && lz4 -qdc "$2.lz4" >"$2" 2>/dev/null
import struct
import sys

image = open(sys.argv[1], "rb").read()
offset, length = struct.unpack_from("<II", image, 0x248)
start = (image[0x1f1] + 1) * 512 + offset
payload = image[start:start + length]
if payload[:4] != b"\x02\x21\x4c\x18":
    sys.exit("the kernel is not compressed with LZ4")
open(sys.argv[2], "wb").write(payload[:-4])
PYTHON
    rm -f "$2.lz4"
}

# The guest's first program: a shell that reads from the console and echoes what it runs.
write_init() {
    cat <<'INIT'
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "guest: $(uname -sm) is up"
while read -r line; do
    echo "console: $line"
    [ "$line" = quit ] && break
    sh -c "$line"
done
echo "guest: done"
busybox poweroff -f
INIT
}

build_initrd() {
    local root=$1/root command
    mkdir -p "$root"/{bin,dev,proc,sys}
    cp "$1/busybox/bin/busybox" "$root/bin/"
    for command in sh mount cat echo uname ls md5sum nproc devmem; do
        ln -sf busybox "$root/bin/$command"
    done
    write_init >"$root/init"
    chmod +x "$root/init"
    (cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible) >"$1/initrd.$$"
    mv "$1/initrd.$$" "$1/initrd" # another test may be reading the old one
}

# prepare_kernel FOLDER: FOLDER/vmlinux.
prepare_kernel() {
    local folder=$1 kernel
    [[ ! -s $folder/vmlinux ]] || return 0
    mkdir -p "$folder"
    need_packages "${packages_linux[@]}"
    kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
    [[ -n $kernel ]] || die "there is no package linux-image-cloud-amd64"
    fetch_package "$kernel" "$folder/kernel"
    extract_vmlinux "$(ls "$folder"/kernel/boot/vmlinuz-*)" "$folder/vmlinux" || die "can't extract the kernel"
    rm -r "$folder/kernel"
}

# prepare_linux FOLDER: FOLDER/vmlinux and FOLDER/initrd.
prepare_linux() {
    local folder=$1
    mkdir -p "$folder"
    need_packages "${packages_linux[@]}"
    fetch_package busybox-static "$folder/busybox"
    prepare_kernel "$folder"
    build_initrd "$folder"
}

# prepare_modular FOLDER: FOLDER/busybox, and in FOLDER/modular a kernel with the modules that the cloud flavour lacks.
prepare_modular() {
    local folder=$1 kernel
    mkdir -p "$folder"
    need_packages "${packages_linux[@]}"
    fetch_package busybox-static "$folder/busybox"
    kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -1)
    [[ -n $kernel ]] || die "there is no package linux-image-amd64"
    # Of 400 MB: kvm-amd, what it needs, and what that needs.
    fetch_package "$kernel" "$folder/modular" '*/boot/vmlinuz-*' '*/kvm*.ko*' '*/ccp.ko*' '*/rng-core.ko*' '*/irqbypass.ko*'
}

# kernel_modules FOLDER NAME...: their files, in the order in which they must be loaded.
kernel_modules() {
    local folder=$1 base name file dependency
    shift
    base=$(echo "$folder"/modular/lib/modules/*)
    for name in "$@"; do
        file=$(cd "$base" && find kernel -name "$name.ko*" | head -1)
        # kvm-amd needs ccp, which needs rng-core: as modinfo tells.
        for dependency in $(strings "$base/$file" | sed -n 's/^depends=//p' | tr ',' ' '); do
            kernel_modules "$folder" "${dependency//_/-}"
        done
        echo "$base/$file"
    done
}

# expect FILE TEXT: the guest's console has printed the line.
expect() {
    tr -d '\r' <"$1" | grep -qxF -- "$2" || {
        printf 'missing on the console: %s\n' "$2"
        return 1
    }
}

# The commands that are typed; the first key is lost: the driver empties its buffer once more after it has begun to listen.
# shellcheck disable=SC2016 # for the guest's shell to expand
linux_input=$'\necho $((6 * 7))\nnproc\ncat /bin/busybox | md5sum\nls /proc/self/exe\ncat /sys/bus/pci/devices/*:01.0/resource\ndevmem 0xe1000000\nquit\n'

# run_linux FOLDER ARGUMENTS...: boots (the release's hypervisor, or HYPERVISOR) with two processors and the test device, types commands, checks what they print.
run_linux() {
    local folder=$1 result=0 argument sum cpus=2 console
    shift
    for argument; do
        [[ $argument != --cpus=* ]] || cpus=${argument#--cpus=}
    done
    console=$(mktemp)
    sum=$(md5sum <"$folder/busybox/bin/busybox")
    "${HYPERVISOR:-$build/release/examples/x86emu-hypervisor}" --kernel "$folder/vmlinux" --initrd "$folder/initrd" --cpus "$cpus" \
        --test-device --append 'rdinit=/init quiet' --input "$linux_input" "$@" | tee "$console" || result=1
    expect "$console" 42 || result=1
    expect "$console" "$cpus" || result=1
    expect "$console" "$sum" || result=1
    expect "$console" /proc/self/exe || result=1
    # The test device's base address, as it was given, and what is read there: examples/hypervisor/devices/testdev.h.
    expect "$console" '0x00000000e1000000 0x00000000e1000fff 0x0000000000040200' || result=1
    expect "$console" 0x36387865 || result=1
    expect "$console" 'guest: done' || result=1
    rm "$console"
    return $result
}
