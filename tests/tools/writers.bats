# Tools and editors that write: exactly the intended cell has changed in the whole database, by exactly
# one UPDATE, and no DELETE was ever sent.

load ../lib/rowfs
load ../lib/terminal

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_from_shop
	# The shop's trigger would change a second cell.
	sql 'ALTER TABLE shop.products DISABLE TRIGGER ALL'
	mount_rowfs
	ROW=$MNT/shop/products/TENT-003.json
	before=$BATS_TEST_TMPDIR/before
	database_rows >"$before"
	sed 's/"price": 311.95/"price": 199.00/' "$ROW" >"$BATS_TEST_TMPDIR/edited.json"
	mark=$(log_mark)
}

teardown() {
	terminals_end
	mounts_end
}

# What every test here ends with: the price of TENT-003, and nothing else, went from 311.95 to 199.00.
assert_price_changed() {
	assert_writes "$mark" UPDATE
	assert_equal "$(diff <(sed '/^shop.products (TENT-003,/s/,311.95,/,199.00,/' "$before") <(database_rows))" ""
	assert_contains "$(rows_changed "$before")" ",199.00,"
	assert_equal "$(cat "$ROW")" "$(cat "$BATS_TEST_TMPDIR/edited.json")"
	assert_equal "$(ls -A "$MNT/shop/products" | grep -v '^[A-Z]*-[0-9]*\.json$')" ""
}

@test "sed -i" {
	sed -i 's/311.95/199.00/' "$ROW"
	assert_price_changed
}

@test "sed -i with a backup, which is then removed" {
	sed -i.bak 's/311.95/199.00/' "$ROW"
	assert_equal "$(grep -c 311.95 "$ROW.bak")" 1
	rm "$ROW.bak"
	assert_price_changed
}

@test "perl -i" {
	perl -i -pe 's/311\.95/199.00/' "$ROW"
	assert_price_changed
}

@test "cp over the row" {
	cp "$BATS_TEST_TMPDIR/edited.json" "$ROW"
	assert_price_changed
}

@test "cp -a over the row" {
	cp -a "$BATS_TEST_TMPDIR/edited.json" "$ROW"
	assert_price_changed
}

@test "tee" {
	tee "$ROW" <"$BATS_TEST_TMPDIR/edited.json" >/dev/null
	assert_price_changed
}

@test "tee a patch with only the changed column" {
	echo '{"price": 199.00}' | tee "$ROW" >/dev/null
	assert_price_changed
}

@test "echo > from bash" {
	bash -c 'echo "$(cat "$2")" >"$1"' - "$ROW" "$BATS_TEST_TMPDIR/edited.json"
	assert_price_changed
}

@test "echo > from dash" {
	dash -c 'echo "{\"price\": 199.00}" >"$1"' - "$ROW"
	assert_price_changed
}

@test "dd, in small writes" {
	dd if="$BATS_TEST_TMPDIR/edited.json" of="$ROW" bs=10 2>/dev/null
	assert_price_changed
}

@test "python's with open" {
	python3 -c 'import sys; t = open(sys.argv[1]).read()
with open(sys.argv[1], "w") as f: f.write(t.replace("311.95", "199.00"))' "$ROW"
	assert_price_changed
}

@test "a seek and an overwrite in place" {
	python3 -c 'import sys
with open(sys.argv[1], "r+b") as f: f.seek(f.read().index(b"311.95")); f.write(b"199.00")' "$ROW"
	assert_price_changed
}

@test "a mapped file that is changed after its close, when it is unmapped" {
	python3 - "$ROW" <<-'END'
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		libc.mmap.restype = ctypes.c_void_p
		libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
		libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
		fd = os.open(sys.argv[1], os.O_RDWR)
		text = os.read(fd, 10000)
		pages = libc.mmap(None, len(text), 3, 1, fd, 0)  # PROT_READ | PROT_WRITE, MAP_SHARED
		os.close(fd)
		ctypes.memmove(pages + text.index(b"311.95"), b"199.00", 6)
		libc.munmap(pages, len(text))
	END
	saved() { [[ $(sql "SELECT price FROM shop.products WHERE sku = 'TENT-003'") == 199.00 ]]; }
	wait_until 5 saved
	assert_price_changed
	assert_equal "$(cat "$MNT/.rowfs/errors")" ""
}

@test "a temporary file beside the row and a rename, as programs that save atomically do" {
	python3 -c 'import os, sys; t = open(sys.argv[1]).read()
with open(sys.argv[1] + ".tmp", "w") as f: f.write(t.replace("311.95", "199.00")); f.flush(); os.fsync(f)
os.replace(sys.argv[1] + ".tmp", sys.argv[1])' "$ROW"
	assert_price_changed
}

@test "vim -es" {
	vim -u DEFAULTS -es -c 's/x/x/e' -c '%s/311.95/199.00/' -c wq "$ROW" </dev/null
	assert_price_changed
}

@test "vim -es with backupcopy=yes" {
	vim -u DEFAULTS -es -c 'set backupcopy=yes' -c '%s/311.95/199.00/' -c wq "$ROW" </dev/null
	assert_price_changed
}

@test "vim -es that writes nothing sends nothing" {
	vim -u DEFAULTS -es -c 'wq' "$ROW" </dev/null
	assert_writes "$mark"
	assert_equal "$(rows_changed "$before")" ""
}

@test "rsync of one changed row in" {
	cp -a "$MNT/shop/products" "$BATS_TEST_TMPDIR/products"
	cp "$BATS_TEST_TMPDIR/edited.json" "$BATS_TEST_TMPDIR/products/TENT-003.json"
	mark=$(log_mark)
	rsync -a "$BATS_TEST_TMPDIR/products/" "$MNT/shop/products/"
	assert_price_changed
}

@test "rsync --inplace of one changed row in" {
	cp "$BATS_TEST_TMPDIR/edited.json" "$BATS_TEST_TMPDIR/TENT-003.json"
	rsync --inplace "$BATS_TEST_TMPDIR/TENT-003.json" "$ROW"
	assert_price_changed
}

@test "rsync --delay-updates of one changed row in" {
	cp -a "$MNT/shop/products" "$BATS_TEST_TMPDIR/products"
	cp "$BATS_TEST_TMPDIR/edited.json" "$BATS_TEST_TMPDIR/products/TENT-003.json"
	mark=$(log_mark)
	rsync -a --delay-updates "$BATS_TEST_TMPDIR/products/" "$MNT/shop/products/"
	assert_price_changed
}

# Of the file that rsync is sending, something is there.
transfer_begun() {
	compgen -G "$MNT/shop/products/.TENT-003.json.*" >/dev/null &&
		[[ -n $(find "$MNT/shop/products" -maxdepth 1 -name '.TENT-003.json.*' -size +0) ]]
}

# The receiving process ends after the one that was started.
transfer_kept() {
	[[ -s $MNT/shop/products/.partial/TENT-003.json ]] && ! compgen -G "$MNT/shop/products/.TENT-003.json.*" >/dev/null
}

@test "rsync --partial-dir of a row whose transfer is cut off, and goes on the next time" {
	mkdir "$BATS_TEST_TMPDIR/from"
	{
		sed '$d' "$BATS_TEST_TMPDIR/edited.json"
		head -c 2000000 /dev/zero | tr '\0' ' '
		echo '}'
	} >"$BATS_TEST_TMPDIR/from/TENT-003.json"
	copy=(rsync -a --partial-dir=.partial "$BATS_TEST_TMPDIR/from/" "$MNT/shop/products/")
	"${copy[@]}" --bwlimit=500 3>&- &
	wait_until 20 transfer_begun
	kill -INT $!
	if wait $!; then return 1; fi
	wait_until 20 transfer_kept
	assert_writes "$mark"
	"${copy[@]}"
	assert_price_changed
}

# Editors on a terminal

@test "vim on a terminal" {
	on_terminal vim -u DEFAULTS "$ROW"
	screen_shows '"price": 311.95'
	type_keys ':%s/311.95/199.00/' Enter
	screen_shows '"price": 199.00'
	type_keys ':wq' Enter
	wait_until 20 terminal_ended
	assert_price_changed
}

@test "vim on a terminal, saved twice, is two UPDATEs" {
	on_terminal vim -u DEFAULTS "$ROW"
	screen_shows '"price": 311.95'
	type_keys ':%s/311.95/250.00/ | w' Enter
	screen_shows 'written'
	type_keys ':%s/250.00/199.00/ | wq' Enter
	wait_until 20 terminal_ended
	assert_writes "$mark" UPDATE UPDATE
	assert_equal "$(sql "SELECT price FROM shop.products WHERE sku = 'TENT-003'")" 199.00
}

@test "vim shows that a save was refused, and keeps the text" {
	on_terminal vim -u DEFAULTS "$ROW"
	screen_shows '"price": 311.95'
	type_keys ':%s/311.95/-1/ | w' Enter
	screen_shows 'E667\|E512\|E514'
	type_keys Enter
	assert_equal "$(rows_changed "$before")" ""
	type_keys ':%s/"price": -1/"price": 199.00/ | wq' Enter
	wait_until 20 terminal_ended
	assert_equal "$(sql "SELECT price FROM shop.products WHERE sku = 'TENT-003'")" 199.00
	assert_equal "$(writes_since "$mark" | grep -c DELETE)" 0
}

@test "emacs on a terminal" {
	on_terminal emacs -nw -Q --eval '(setq inhibit-startup-screen t)' "$ROW"
	screen_shows '311.95'
	type_keys M-x
	type_keys 'replace-string' Enter '311.95' Enter '199.00' Enter
	screen_shows '199.00'
	type_keys C-x C-s
	screen_shows 'Wrote'
	type_keys C-x C-c
	wait_until 20 terminal_ended
	# emacs keeps its backup, TENT-003.json~, which is a scratch file.
	rm "$ROW~"
	assert_price_changed
}

@test "nano on a terminal" {
	on_terminal nano --ignorercfiles "$ROW"
	screen_shows '311.95'
	type_keys C-\\
	screen_shows 'Search (to replace)'
	type_keys '311.95' Enter '199.00' Enter
	screen_shows 'Replace this instance?'
	type_keys y
	screen_shows '199.00'
	type_keys C-s
	screen_shows 'Wrote'
	type_keys C-x
	wait_until 20 terminal_ended
	assert_price_changed
}

# New rows, keys and removal

@test "echo into a new name inserts one row" {
	echo '{"title": "Hammocks"}' >"$MNT/shop/categories/hammocks.json"
	assert_writes "$mark" INSERT
	assert_equal "$(rows_changed "$before")" '+shop.categories (hammocks,Hammocks,,0)'
}

@test "echo into .new.json inserts a row with the server's key, which last-insert names" {
	echo '{"email": "wim@example.org", "name": "Wim"}' >"$MNT/shop/customers/.new.json"
	assert_writes "$mark" INSERT
	id=$(sql "SELECT id FROM shop.customers WHERE name = 'Wim'")
	assert_contains "$(cat "$MNT/.rowfs/last-insert")" "shop/customers/$id.json"
	assert_equal "$(jq -r .email "$MNT/shop/customers/$id.json")" wim@example.org
}

@test "touch of a new name sends nothing until it has content" {
	touch "$MNT/shop/categories/hammocks.json"
	assert_equal "$(ls "$MNT/shop/categories" | grep -c hammocks)" 1
	assert_writes "$mark"
	echo '{"title": "Hammocks"}' >"$MNT/shop/categories/hammocks.json"
	assert_writes "$mark" INSERT
}

@test "rm deletes one row" {
	file=$(cd "$MNT/shop/reviews" && ls | head -n 1)
	rm "$MNT/shop/reviews/$file"
	assert_writes "$mark" DELETE
	assert_equal "$(rows_changed "$before" | grep -c '^-shop.reviews')" 1
	assert_equal "$(rows_changed "$before" | wc -l)" 1
}

@test "mv changes a key" {
	mv "$MNT/shop/categories/maps.json" "$MNT/shop/categories/maps%2Fpaper.json"
	assert_writes "$mark" UPDATE
	assert_equal "$(rows_changed "$before" | LC_ALL=C sort)" \
		"$(printf '+shop.categories (maps/paper,Maps,,7)\n-shop.categories (maps,Maps,,7)')"
}

@test "mv of a row away and back sends nothing" {
	mv "$ROW" "$ROW.old"
	mv "$ROW.old" "$ROW"
	assert_writes "$mark"
	assert_equal "$(rows_changed "$before")" ""
}

@test "emptying a row with > or truncate changes nothing" {
	: >"$ROW"
	truncate -s 0 "$ROW"
	assert_writes "$mark"
	assert_equal "$(rows_changed "$before")" ""
	assert_equal "$(grep -c 311.95 "$ROW")" 1
}

@test "chmod, chown and touch of a row succeed and send nothing" {
	chmod 600 "$ROW"
	chown "$(id -u)" "$ROW"
	touch -d 2001-01-01 "$ROW"
	assert_writes "$mark"
}
