# Backups with rsync: complete, and idle when nothing has changed, whoever mounts and however often.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	BACKUP=$BATS_TEST_TMPDIR/backup
}

teardown() {
	mounts_end
}

# commit_timestamps on|off: as the server is configured from its next start on.
commit_timestamps() {
	cluster_stop "$HARNESS/postgres"
	cluster_configure "$HARNESS/postgres" "track_commit_timestamp = $1"
	cluster_start "$HARNESS/postgres"
}

sizes() {
	find "$1" -type f -printf '%P %s\n' | LC_ALL=C sort
}

# idle MOUNT: rsync from there finds nothing to do.
idle() {
	assert_equal "$(rsync -ai "$1/shop/" "$BACKUP/")" ""
}

backup_and_again() {
	commit_timestamps "$1"
	database_from_shop
	sql "UPDATE shop.products SET price = price + 1 WHERE sku LIKE 'BAG-%'"
	mount_rowfs mnt "config=$TOP/mnt-example/rowfs.conf"

	rsync -a "$MNT/shop/" "$BACKUP/"
	assert_equal "$(sizes "$BACKUP")" "$(sizes "$MNT/shop")"
	same_trees "$BACKUP" "$MNT/shop"
	assert_equal "$(find "$BACKUP" -newermt "1 minute")" ""
	idle "$MNT"

	unmount_rowfs
	mount_rowfs mnt "config=$TOP/mnt-example/rowfs.conf"
	idle "$MNT"
	mount_rowfs second "config=$TOP/mnt-example/rowfs.conf,redis=none"
	idle "$HARNESS/second"

	# What has changed, and only that, is copied; the view shows the order's new total.
	sql 'UPDATE shop.order_items SET quantity = quantity + 1 WHERE (order_id, line) = (7, 1)'
	wait_until 5 rsync_finds "./ order_items/7,1.json order_totals/7.json" "$MNT"
	rsync -a "$MNT/shop/" "$BACKUP/"
	idle "$MNT"

	mark=$(log_mark)
	database_rows >"$BATS_TEST_TMPDIR/before"
	rsync -a "$BACKUP/" "$MNT/shop/"
	assert_writes "$mark"
	assert_equal "$(rows_changed "$BATS_TEST_TMPDIR/before")" ""
}

rsync_finds() {
	[[ "./ $(rsync -ani "$2/shop/" "$BACKUP/" | awk '/^>f/ { print $2 }' | paste -sd ' ')" == "$1" ]]
}

@test "rsync out, again, after a remount, from a second mount, and back in: track_commit_timestamp off" {
	backup_and_again off
}

@test "rsync out, again, after a remount, from a second mount, and back in: track_commit_timestamp on" {
	backup_and_again on
}

@test "rsync of every row back in, even when told to ignore times, sends no SQL that writes" {
	database_from_shop
	mount_rowfs
	rsync -a "$MNT/shop/products/" "$BACKUP/"
	mark=$(log_mark)
	rsync -aI "$BACKUP/" "$MNT/shop/products/"
	rsync -a --checksum "$BACKUP/" "$MNT/shop/products/"
	rsync -aI --inplace "$BACKUP/" "$MNT/shop/products/"
	assert_writes "$mark"
	assert_equal "$(ls -A "$MNT/shop/products" | wc -l)" 240
}

@test "rsync restores a row that was deleted" {
	database_from_shop
	mount_rowfs
	rsync -a "$MNT/shop/stock/" "$BACKUP/"
	database_rows >"$BATS_TEST_TMPDIR/before"
	rm "$MNT/shop/stock/BAG-001,north.json"
	# With a generated column in its text.
	grep -q '"available"' "$BACKUP/BAG-001,north.json"
	rsync -a --ignore-existing "$BACKUP/" "$MNT/shop/stock/"
	assert_equal "$(rows_changed "$BATS_TEST_TMPDIR/before")" ""
}
