# The data that is built and moved: the same at every run for the same seed, and not compressible.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

# A root file system of busybox (and split).
busybox_archive() {
    local root=$work/busybox name
    mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/root" "$root/usr/bin" "$root/var"
    cp "$(command -v busybox)" "$root/bin/busybox"
    for name in $("$root/bin/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"; done
    # Debian's busybox has no split.
    for name in /usr/bin/split $(ldd /usr/bin/split | grep -o '/[^ ]*'); do
        mkdir -p "$root${name%/*}"
        cp -L "$name" "$root$name"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    chmod 1777 "$root/tmp"
    tar -C "$root" -cf "$1" .
    rm -rf "$root"
}

# An endless stream of bytes for a seed (a number).
stream() {
    openssl enc -aes-128-ctr -K "$(printf '%032x' "$1")" -iv 00000000000000000000000000000000 -in /dev/zero 2>/dev/null || true
}

# make_tree FOLDER SEED: 50,000 files of 4,430 to 13,294 bytes, 443 MB, in 1,000 folders below 40.
make_tree() {
    local number folder size
    exec 3< <(stream "$2")
    for ((number = 0; number < 1000; number++)); do
        printf -v folder '%s/part-%02d/folder-%02d' "$1" $((number / 25)) $((number % 25))
        size=$((4430 + number % 10 * 985))
        mkdir -p "$folder"
        head -c $((size * 50)) <&3 | split -b "$size" -a 2 -d - "$folder/file-"
    done
    exec 3<&-
}
