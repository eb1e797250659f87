# Files that are renamed, removed or interrupted while they are open: what was acknowledged is never lost, goes
# where the file went, and is seen by nobody who may not.

load ../lib/rowfs

setup_file() {
	harness_start
}

teardown_file() {
	harness_end
}

setup() {
	database_new
	sql "CREATE TABLE notes (id int PRIMARY KEY, a text, b text);
		INSERT INTO notes SELECT i, 'a' || i, 'b' || i FROM generate_series(1, 60) i"
	mount_rowfs
	NOTES=$MNT/public/notes
}

teardown() {
	[[ -z ${HOLDER_PID:-} ]] || kill "$HOLDER_PID" 2>/dev/null || true
	mounts_end
}

note() {
	sql "SELECT a, b FROM notes WHERE id = $1"
}

# What is said

@test "a reader that is killed after another signal has come is gone at once" {
	coproc HOLDER { psql -X -Atq -d "$PGDATABASE" 3>&-; }
	printf 'BEGIN; LOCK TABLE notes; SELECT %s;\n' "'held'" >&"${HOLDER[1]}"
	read -r -t 10 held <&"${HOLDER[0]}"
	assert_equal "$held" held
	python3 - "$NOTES/50.json" <<-'END'
		import os, signal, sys, time
		signal.signal(signal.SIGUSR1, lambda *a: 0)
		child = os.fork()
		if child == 0:
		    try:
		        open(sys.argv[1]).read()
		    finally:
		        os._exit(0)
		time.sleep(0.5)
		os.kill(child, signal.SIGUSR1)
		time.sleep(0.2)
		assert os.waitpid(child, os.WNOHANG) == (0, 0), "the first signal ended it"
		begin = time.monotonic()
		os.kill(child, signal.SIGKILL)
		os.waitpid(child, 0)
		assert time.monotonic() - begin < 1, time.monotonic() - begin
	END
	printf 'ROLLBACK;\n\\q\n' >&"${HOLDER[1]}"
}
