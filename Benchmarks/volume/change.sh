#!/bin/sh
# change.sh FOLDER ROUND: changes 1 kB within each of 600 files (1%), adds 600, removes 300; other files in each round (1 to 26).
set -eu
letter=$(printf abcdefghijklmnopqrstuvwxyz | cut -c "$2")
number=0
while [ $number -lt 600 ]; do
    folder=$1/folder-$number
    head -c 1024 /dev/urandom | dd of="$folder/a$letter" bs=1024 seek=4 conv=notrunc 2>/dev/null
    head -c 16000 /dev/urandom >"$folder/new-$2"
    [ $((number % 2)) = 1 ] || rm "$folder/b$letter"
    number=$((number + 1))
done
