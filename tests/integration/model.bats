# What docs/filesystem.md says, as a model in memory, beside a real mount: random sequences of calls by two programs,
# and of changes by SQL, after each of which both must show the same. tests/campaign has the long runs.

load ../lib/rowfs

setup() {
	[[ -c /dev/fuse ]] || skip "no /dev/fuse"
	export ROWFS
}

@test "random calls of two programs, and SQL from outside, do what the model says" {
	python3 "$TOP/tests/lib/model_run.py" --seed "${ROWFS_TEST_SEED:-1}" --steps 2000 --seconds 8 3>&-
}

@test "the same while names that were moved away come back after their grace" {
	python3 "$TOP/tests/lib/model_run.py" --seed "${ROWFS_TEST_SEED:-2}" --steps 300 --seconds 4 --grace 0.5 3>&-
}

@test "rowfs is killed under writers: what was acknowledged is saved, and nobody is left to believe what is not" {
	python3 "$TOP/tests/lib/kill_daemon.py" --kills 8 --seed "${ROWFS_TEST_SEED:-3}" 3>&-
}
