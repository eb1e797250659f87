# The tour: real commands on the mounted shop, with what they really print. Each is followed by what
# must now be true, as psql sees it; `run --check` shows those lines, `run` only those that fail.

# shellcheck disable=SC2154 # var and redis are run's
checking=0
passed=0
failed=0
output=""

say() {
	printf '\n-- %s\n' "$*"
}

# step COMMAND: show it, run it in this very shell, show what it prints. $output and $status hold the
# result for what is verified next.
step() {
	printf '\n$ %s\n' "$1"
	status=0
	eval "$1" >"$var/output" 2>&1 </dev/null || status=$?
	cat "$var/output"
	output=$(<"$var/output")
}

# same WHAT ACTUAL EXPECTED
same() {
	if [[ $2 == "$3" ]]; then
		passed=$((passed + 1))
		((!checking)) || printf 'ok - %s\n' "$1"
	else
		failed=$((failed + 1))
		printf 'NOT OK - %s\n  expected: %s\n  found:    %s\n' "$1" "$3" "$2"
	fi
}

contains() {
	if [[ $2 == *"$3"* ]]; then same "$1" yes yes; else same "$1" "$2" "… $3 …"; fi
}

sql() {
	psql -X -Atqc "$1"
}

tour() {
	tour_mount
	tour_look
	tour_backup
	tour_edit
	tour_rows
	tour_refusals
	tour_others
	tour_compare
}

tour_mount() {
	say "Mount the database. The command returns when the files are there."
	step "rowfs 'postgresql:///shop?host=$PGHOST&user=postgres' mnt \\
    -o config=var/rowfs.conf,redis=unix:$redis,state_dir=var/state"
	same "rowfs exits with 0" "$status" 0
	((status == 0)) || exit 1
	step "ls mnt/shop"
	same "every table is a directory, and the view of the configuration too" "$output" \
		"$(sql "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace
			AND relkind IN ('r', 'v') ORDER BY relname COLLATE \"C\"")"
}

tour_look() {
	say "Every row is a file, named by its key."
	step "ls mnt/shop/products | head -n 3"
	same "as many files as rows" "$(find mnt/shop/products -type f | wc -l)" \
		"$(sql 'SELECT count(*) FROM shop.products')"
	step "ls -l mnt/shop/products | sed -n '2,4p'"
	step "cat mnt/shop/products/TENT-003.json"
	same "the price in the file is the price in the table" "$(jq -r .price <<<"$output")" \
		"$(sql "SELECT price FROM shop.products WHERE sku = 'TENT-003'")"
	step "cat mnt/shop/stock/TENT-003,north.json"
	step "find mnt/shop/categories -name 'tents*' | LC_ALL=C sort"
	same "a slash in a key is %2F in the name" "$(tail -n 1 <<<"$output")" \
		mnt/shop/categories/tents.json
	step "cat mnt/shop/order_totals/17.json"
	same "the view's total" "$(jq -r .total <<<"$output")" \
		"$(sql 'SELECT total FROM shop.order_totals WHERE order_id = 17')"

	say "So every tool that knows files can ask questions."
	step "grep -rl '\"status\": \"returned\"' mnt/shop/orders | wc -l"
	same "grep finds what SQL finds" "$output" \
		"$(sql "SELECT count(*) FROM shop.orders WHERE status = 'returned'")"
	step "jq -r 'select(.price > 620) | \"\\(.price) \\(.name)\"' mnt/shop/products/*.json | sort -n"
	same "jq finds what SQL finds" "$output" \
		"$(sql "SELECT price || ' ' || name FROM shop.products WHERE price > 620 ORDER BY price")"
}

tour_backup() {
	say "Back up with rsync. The second run has nothing to copy."
	step "rsync -a mnt/shop/ var/backup/"
	same "rsync exits with 0" "$status" 0
	step "find var/backup -type f | wc -l"
	step "rsync -ai mnt/shop/ var/backup/"
	same "nothing to copy" "$output" ""
}

tour_edit() {
	say "Edit a row with whatever you like; the close is the COMMIT."
	step "sed -i 's/\"price\": .*,/\"price\": 199.00,/' mnt/shop/products/TENT-003.json"
	same "sed's price is in the table" \
		"$(sql "SELECT price FROM shop.products WHERE sku = 'TENT-003'")" 199.00
	step "vim -es -c '%s/\"newsletter\": false/\"newsletter\": true/' -c wq mnt/shop/customers/8.json"
	same "vim's change is in the table" \
		"$(sql 'SELECT newsletter FROM shop.customers WHERE id = 8')" t
	step "text=\$(jq '.attributes.colour = \"night blue\"' mnt/shop/products/BAG-010.json)
  echo \"\$text\" > mnt/shop/products/BAG-010.json"
	same "jq's change is in the table" \
		"$(sql "SELECT attributes->>'colour' FROM shop.products WHERE sku = 'BAG-010'")" 'night blue'
	say "A file is a patch: columns that it leaves out stay as they are."
	step "echo '{\"gift_note\": \"Leave it at the neighbours\"}' > mnt/shop/orders/12.json"
	step "cat mnt/shop/orders/12.json"
	same "only the note has changed" \
		"$(sql "SELECT gift_note, customer_id FROM shop.orders WHERE id = 12")" \
		'Leave it at the neighbours|85'
}

tour_rows() {
	local id

	say "New rows: under a name, or with a key that the server assigns."
	step "echo '{\"title\": \"Hammocks\"}' > mnt/shop/categories/hammocks.json"
	step "cat mnt/shop/categories/hammocks.json"
	same "the row is there, with its default" \
		"$(sql "SELECT title, rank FROM shop.categories WHERE path = 'hammocks'")" 'Hammocks|0'
	step "echo '{\"email\": \"wim@example.org\", \"name\": \"Wim\"}' > mnt/shop/customers/.new.json"
	step "cat mnt/.rowfs/last-insert"
	id=$(sql "SELECT id FROM shop.customers WHERE email = 'wim@example.org'")
	contains "last-insert names the new file" "$output" "shop/customers/$id.json"
	say "A key is changed with mv, a row deleted with rm."
	step "mv mnt/shop/categories/hammocks.json mnt/shop/categories/tents%2Fhammocks.json"
	same "the key has changed" \
		"$(sql "SELECT path FROM shop.categories WHERE title = 'Hammocks'")" tents/hammocks
	step "rm mnt/shop/categories/tents%2Fhammocks.json"
	same "the row is gone" "$(sql "SELECT count(*) FROM shop.categories WHERE title = 'Hammocks'")" 0
}

tour_refusals() {
	local before after

	say "What PostgreSQL refuses, the tool that saves is told, and .rowfs/last-error says why."
	before=$(sql "TABLE shop.stock ORDER BY 1, 2")
	step "sed -i 's/\"quantity\": .*,/\"quantity\": -4,/' mnt/shop/stock/TENT-003,north.json"
	same "sed fails" "$((status != 0))" 1
	step "cat mnt/.rowfs/last-error"
	contains "the reason is there, with its SQLSTATE" "$output" 23514
	after=$(sql "TABLE shop.stock ORDER BY 1, 2")
	same "the table is untouched" "$after" "$before"
	step "sed 's/\"price\"/\"prize\"/' mnt/shop/products/TENT-003.json > var/typo.json
  cp var/typo.json mnt/shop/products/TENT-003.json"
	same "cp fails" "$((status != 0))" 1
	step "cat mnt/.rowfs/last-error"
	contains "the reason names the word" "$output" prize
	say "The text that was refused is kept, so nothing that was typed is lost."
	step "ls mnt/.rowfs/rejected"
	same "two texts are kept" "$(find mnt/.rowfs/rejected -name "*.json" | wc -l)" 2
}

tour_others() {
	local file=mnt/shop/products/PACK-007.json

	say "A worker follows what PostgreSQL commits: what Redis and the kernel hold is proved fresh."
	step "timeout 20 sh -c 'until grep -q \"^feed: live\" mnt/.rowfs/status; do sleep 0.1; done'
  rowfs status mnt | grep -E '^(changes|feed|worker_here|worker_tables)'"
	contains "the feed of changes is live" "$output" "feed: live"
	say "Somebody else changes a row: you see it in a moment."
	step "psql -qc \"UPDATE shop.products SET price = 89.00 WHERE sku = 'STOVE-010'\""
	step "timeout 10 sh -c 'until grep price mnt/shop/products/STOVE-010.json | grep 89.00; do sleep 0.01; done'"
	same "the new price is in the file" "$status" 0
	say "Two people edit different columns of one row: both edits stay."
	step "mapfile -t lines < $file; exec 3> $file    # we open the row
  psql -qc \"UPDATE shop.products SET active = NOT active WHERE sku = 'PACK-007'\"
  printf '%s\\n' \"\${lines[@]/ pack 7/ pack seven}\" >&3; exec 3>&-           # and save the whole text"
	same "both edits are in the row" \
		"$(sql "SELECT name LIKE '% pack seven', active FROM shop.products WHERE sku = 'PACK-007'")" 't|f'
	say "The same column: the second save is refused, and its text kept."
	step "exec 3> $file
  psql -qc \"UPDATE shop.products SET name = 'Their pack' WHERE sku = 'PACK-007'\"
  echo '{\"name\": \"Our pack\"}' >&3; exec 3>&-"
	step "cat mnt/.rowfs/last-error"
	contains "the reason names the column" "$output" 'column "name" was changed by somebody else'
	same "what they wrote stays" \
		"$(sql "SELECT name FROM shop.products WHERE sku = 'PACK-007'")" 'Their pack'
	say "What we wrote is kept, with what it was made of and what they have made of that; so it can be saved after all."
	step "rowfs diff mnt/.rowfs/conflicts/*.json"
	contains "diff shows ours" "$output" 'mine    "Our pack"'
	contains "and theirs" "$output" 'theirs  "Their pack"'
	step "rowfs retry mnt/.rowfs/conflicts/*.json"
	same "ours is in the row, by our own decision" \
		"$(sql "SELECT name FROM shop.products WHERE sku = 'PACK-007'")" 'Our pack'
}

tour_compare() {
	local changed='BAG-010.json PACK-007.json STOVE-010.json TENT-003.json'

	say "What has changed since the backup?"
	step "diff -r var/backup/products mnt/shop/products | grep -v '^[0-9]'"
	same "exactly the products that were edited" \
		"$(diff -rq var/backup/products mnt/shop/products | sed 's/.*products\///; s/ differ$//' |
			LC_ALL=C sort | paste -sd ' ')" "$changed"
	say "What the mount has done so far."
	step "rowfs status mnt"
}
