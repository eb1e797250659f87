# Names that are not rows: whatever a user or an editor does with them goes as on any other file system, within
# scratch_max, and what is there stays, however the program ends.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE notes (id int PRIMARY KEY, note text);
		INSERT INTO notes SELECT i, 'note ' || i FROM generate_series(1, 3) i"
}

teardown() {
	cd "$TOP" || return 1
	[[ -z ${OTHER:-} ]] || kill -KILL "$OTHER" 2>/dev/null || true
	mounts_end
	if is_mounted "$HARNESS/disk"; then umount "$HARNESS/disk"; fi
}

posix_cases() {
	python3 "$TOP/tests/lib/posix_cases.py" "$@"
}

# status_of scratch: how many bytes.
status_of() {
	sed -n "s/^$1: \([0-9]*\).*/\1/p" "$MNT/.rowfs/status"
}

scratch_takes() {
	[[ $(status_of scratch) == "$1" ]]
}

# As on any other file system

@test "the cases of POSIX are those of tmpfs, too" {
	[[ $(stat -f -c %T /dev/shm) == tmpfs ]] || skip "/dev/shm is no tmpfs"
	folder=$(mktemp -d /dev/shm/rowfs-test.XXXXXX)
	posix_cases "$folder" || failed=yes
	if ((EUID == 0)); then
		chown nobody "$folder"
		runuser -u nobody -- python3 "$TOP/tests/lib/posix_cases.py" "$folder" || failed=yes
	fi
	rm -r "$folder"
	[[ -z ${failed:-} ]]
}

@test "the cases of POSIX in a table's directory" {
	mount_rowfs
	posix_cases --rowfs "$MNT/public/notes"
	assert_equal "$(ls -A "$MNT/public/notes" | paste -sd ' ')" "1.json 2.json 3.json"
	wait_until 5 scratch_takes 0
}

@test "the cases of POSIX in a directory below, where every name is looked up again and again" {
	mount_rowfs mnt consistency=strong
	mkdir "$MNT/public/notes/below"
	posix_cases --rowfs "$MNT/public/notes/below"
	rmdir "$MNT/public/notes/below"
	wait_until 5 scratch_takes 0
}

# The program may do only what the modes of his files let it, as he.
@test "the cases of POSIX on a mount of somebody who is not root" {
	((EUID == 0)) || skip "the other tests are that"
	mkdir -p "$HARNESS/user/mnt" "$HARNESS/mounts"
	chown -R nobody "$HARNESS/user"
	mknod -m 666 "$HARNESS/fuse" c 10 229 || skip "no device can be made"
	chmod 777 "$HARNESS/mounts" # for what a sanitizer reports
	sanitizer_options
	# The device is for all only in there, where the mount is, too.
	unshare -m bash -c 'mount --bind "$1" /dev/fuse && exec runuser -u nobody -- bash "${@:2}"' - "$HARNESS/fuse" \
		-c 'set -e
		"$1" "$2" "$3/mnt" -o "redis=none,state_dir=$3/state"
		trap "fusermount3 -u $3/mnt" EXIT
		python3 "$4/tests/lib/posix_cases.py" --rowfs "$3/mnt/public/notes"' \
		- "$ROWFS" "$(source_string)" "$HARNESS/user" "$TOP"
	rm -rf "$HARNESS/user" "$HARNESS/fuse"
}

# More of them: ROWFS_TEST_STEPS=100000. The same again: ROWFS_TEST_SEED=N.
@test "random calls end as they do on the disk, and leave the same" {
	mount_rowfs
	mkdir "$HARNESS/reference" "$MNT/public/notes/below"
	python3 "$TOP/tests/lib/posix_random.py" --steps "${ROWFS_TEST_STEPS:-3000}" \
		${ROWFS_TEST_SEED:+--seed "$ROWFS_TEST_SEED"} "$MNT/public/notes/below" "$HARNESS/reference"
	chmod -R u+rwx "$MNT/public/notes/below" "$HARNESS/reference"
	rm -r "$MNT/public/notes/below" "$HARNESS/reference"
	wait_until 5 scratch_takes 0
}

@test "stress-ng: names, links and directories" {
	command -v stress-ng >/dev/null || skip "no stress-ng"
	mount_rowfs
	cd "$MNT/public/notes"
	stress-ng --temp-path . --verify --timeout 20 --dentry 1 --dentry-ops 1000 --rename 1 --rename-ops 1000 \
		--dir 1 --dir-ops 500 --dirdeep 1 --dirdeep-ops 50 --touch 1 --touch-ops 200
	stress-ng --temp-path . --verify --timeout 2 --symlink 1 --filename 1
	assert_equal "$(ls -A | paste -sd ' ')" "1.json 2.json 3.json"
}

@test "fio: what was written, in whichever way, is read again" {
	command -v fio >/dev/null || skip "no fio"
	mount_rowfs
	cd "$MNT/public/notes"
	fio --directory=. --verify=crc32c --verify_fatal=1 --verify_state_save=0 --size=2M --fallocate=none \
		--output=fio.out \
		--name=unaligned --rw=randwrite --bsrange=512-64k --bs_unaligned=1 --ioengine=psync --numjobs=2 \
		--name=mapped --stonewall --rw=randwrite --bs=4k --ioengine=mmap \
		--name=direct --stonewall --rw=randwrite --bs=4k --direct=1 --ioengine=libaio --iodepth=8 \
		--name=appended --stonewall --rw=write --bs=7k --file_append=1 --ioengine=sync --fsync=16 || {
		grep -E 'err=|fio:|verify:' fio.out >&2
		return 1
	}
	assert_equal "$(grep -c 'err= 0' fio.out)" 5
	rm fio.out unaligned.* mapped.* direct.* appended.*
}

@test "emacs' lock is a link that other emacses read, and take when its owner is gone" {
	mount_rowfs
	cd "$MNT/public/notes"
	emacs -Q --batch --eval '(progn (find-file "2.json") (insert " ") (while t (sleep-for 1)))' \
		>"$BATS_TEST_TMPDIR/emacs" 2>&1 3>&- &
	OTHER=$!
	wait_until 20 test -L .#2.json
	assert_contains "$(readlink .#2.json)" ".$OTHER"
	[[ ! -e .#2.json ]]
	ask=(emacs -Q --batch --eval '(message "lock: %s" (file-locked-p "2.json"))')
	assert_contains "$("${ask[@]}" 2>&1)" "lock: $(id -un)"
	kill -KILL "$OTHER"
	wait "$OTHER" || true
	assert_contains "$("${ask[@]}" 2>&1)" "lock: nil"
	[[ ! -L .#2.json ]]
}

# What looks like a row

@test "a name that looks like a row's and is no key is refused when it is made, and the reason is told" {
	mount_rowfs
	cd "$MNT/public/notes"
	echo '{"note": "x"}' >draft
	ln -s draft link
	mark=$(log_mark)
	for make in touch mkdir 'ln -s draft' 'ln draft' mkfifo; do
		for name in "abc $make.json" "042${make%% *}${#make}.yaml"; do
			fails_with 'Invalid argument' $make "$name"
			assert_contains "$(last_error)" "public/notes/$name: EINVAL"
			assert_contains "$(last_error)" "$name can be no row"
		done
	done
	for from in draft link 1.json; do # mv takes EINVAL for something else
		fails_with 'Input/output error' mv "$from" "abc-$from.json"
		assert_contains "$(last_error)" "public/notes/abc-$from.json: EINVAL"
	done
	# A row is a file.
	for make in mkdir 'ln -s draft' 'ln draft' mkfifo; do
		name=7${#make}.json
		fails_with 'Operation not permitted' $make $name
		assert_contains "$(last_error)" "public/notes/$name: EPERM"
		assert_contains "$(last_error)" "a row is a file"
	done
	assert_writes "$mark"
	rm draft link
	assert_equal "$(ls -A | paste -sd ' ')" "1.json 2.json 3.json"
	# In a directory of one's own any name will do.
	mkdir own
	touch own/abc.json
	rm -r own
}

# A text that was refused for its handle had nowhere to go.
@test "what is written to a temporary file after it became a row is saved, also if it was opened for writing only" {
	mount_rowfs
	cd "$MNT/public/notes"
	python3 - <<-'END'
		import os
		open("draft", "w").close()
		fd = os.open("draft", os.O_WRONLY)
		os.write(fd, b'{"note": "first"}')
		os.rename("draft", "2.json")
		os.pwrite(fd, b'{"note": "later"}', 0)
		os.close(fd)
	END
	assert_equal "$(sql 'SELECT note FROM notes WHERE id = 2')" later
}

# The spool

@test "a file that is open takes its room until it is closed, whether it has a name or not" {
	mount_rowfs mnt scratch_max=100K
	cd "$MNT/public/notes"
	python3 - <<-'END'
		import mmap, os, time
		def used():
		    return int(next(line for line in open("../../.rowfs/status") if line.startswith("scratch:")).split()[1])
		def full(size):
		    try:
		        with open("more", "wb") as f: f.write(b"x" * size)
		    except OSError as e:
		        assert e.errno == 28, e
		        os.unlink("more")
		        return True
		    os.unlink("more")
		    return False
		def make(name):
		    with open(name, "wb") as f: f.write(b"x" * 60000)
		def wait_for(expected):
		    deadline = time.monotonic() + 10
		    while used() != expected:
		        assert time.monotonic() < deadline, f"{used()} instead of {expected}"

		make("a")
		one, two = os.open("a", os.O_RDWR), os.open("a", os.O_RDONLY)
		os.unlink("a")
		wait_for(60000)
		assert full(50000)
		os.pwrite(one, b"x" * 10000, 60000)
		os.ftruncate(one, 65000)
		wait_for(65000)
		os.close(one)
		assert full(50000)
		os.close(two)
		wait_for(0)
		assert not full(50000)

		# Replaced, and mapped.
		make("a")
		fd = os.open("a", os.O_RDWR)
		pages = mmap.mmap(fd, 60000)
		os.close(fd)
		open("b", "wb").close()
		os.rename("b", "a")
		wait_for(64096)
		assert full(50000)
		pages.close()
		wait_for(4096)
		assert not full(50000)

		# A row's text, which the row takes over.
		with open("c", "w") as f: f.write('{"note": "%s"}' % ("x" * 50000))
		fd = os.open("c", os.O_RDONLY)
		os.rename("c", "3.json")
		assert full(50000)
		os.close(fd)
		os.unlink("a")
		wait_for(0)
	END
}

@test "a disk that is full says so, and costs nothing that is there" {
	((EUID == 0)) || skip "only root can make a small disk"
	mkdir "$HARNESS/disk"
	mount -t tmpfs -o size=1M,mode=700 none "$HARNESS/disk"
	mount_rowfs mnt "state_dir=$HARNESS/disk"
	cd "$MNT/public/notes"
	echo 'what is there' >draft
	fails_with 'No space left' dd if=/dev/zero of=large bs=64k count=100 status=none
	assert_contains "$(last_error)" "public/notes/large: ENOSPC: the disk is full"
	fails_with 'No space left' mv 1.json 1.json~
	assert_contains "$(last_error)" "public/notes/1.json~: ENOSPC: the disk is full"
	fails_with 'No space left' ln -s "$(printf 'x%.0s' {1..3000})" link
	fails_with 'No space left' cp large draft
	assert_contains "$(cat 1.json)" 'note 1'
	rm large
	echo 'and more' >draft
	assert_equal "$(cat draft)" 'and more'
	rm draft
	assert_equal "$(ls -A | paste -sd ' ')" "1.json 2.json 3.json"
	cd "$TOP"
}

# What every place in the tree is: type, mode, owner, times, content or target.
tree() {
	(cd "$1" && find . -mindepth 1 ! -name '*.json' -printf '%P %y %m %u %g %s %l %T@\n' |
		sed -E '/ d /s/ [0-9]+ ( [^ ]*)$/\1/' | sort && find . -type f ! -name '*.json' -exec sha256sum {} + | sort)
}

@test "a program that is killed leaves everything in its place, and the next one says so" {
	mount_rowfs
	cd "$MNT/public/notes"
	mkdir -p .a/deep/er 'b c' empty
	head -c 300000 /dev/urandom >.a/deep/er/random
	printf 'text' >'b c/ä
ö'
	truncate -s 1M .a/sparse
	ln -s nowhere 'b c/dangling'
	ln -s ../.a link
	: >none
	echo note >notes.txt
	chmod 640 notes.txt
	chmod 1777 'b c'
	chmod 555 .a/deep
	chmod 4700 .a/sparse
	touch -d '2001-02-03 04:05:06.789012345' notes.txt .a/deep/er/random empty 'b c'
	touch -h -d '1999-01-01' link
	mv 1.json 1.json~
	tail -f notes.txt >/dev/null 3>&- &
	OTHER=$!
	exec 4>gone
	echo 'nobody has this' >&4
	rm gone
	tree . >"$BATS_TEST_TMPDIR/before"
	used=$(status_of scratch)
	cd "$TOP"
	kill -KILL "$(rowfs_pid)"
	kill -KILL "$OTHER"
	wait_until 10 test -s "$HARNESS/mounts/mnt.exit"
	exec 4>&- || true
	unmount "$MNT"
	mount_rowfs
	tree "$MNT/public/notes" >"$BATS_TEST_TMPDIR/after"
	assert_equal "$(diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after")" ""
	grep -q 'temporary files of an earlier mount are still in their places: .* and more' "$HARNESS/mounts/mnt.log"
	assert_equal "$(status_of scratch)" $((used - 16))
	# The row that was moved aside was never gone.
	assert_contains "$(cat "$MNT/public/notes/1.json")" 'note 1'
	assert_equal "$(cat "$MNT/public/notes/1.json~")" "$(cat "$MNT/public/notes/1.json")"
	chmod 755 "$MNT/public/notes/.a/deep"
	find "$MNT/public/notes" -mindepth 1 ! -name '*.json' -delete
	assert_equal "$(status_of scratch)" 0
}
