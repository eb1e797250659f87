# What `run` and `stop` both know: where the example lives, how it is started, how it is ended.

example=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
top=$(dirname "$example")
# shellcheck source=../tests/lib/servers.bash
source "$top/tests/lib/servers.bash"

# example_in DIR: the example's files are DIR/mnt, the mount point, and DIR/var, everything else.
# shellcheck disable=SC2034 # home is for run
example_in() {
	home=$1
	var=$1/var
	mnt=$1/mnt
}

# The servers' own folder: in $var when the account that runs them can reach it there and the names of
# their sockets fit in 107 bytes and need no quoting, else a short temporary one, which $var/servers names.
servers_dir() {
	local dir=$var/server socket

	if [[ -f $var/servers ]]; then
		cat "$var/servers"
		return 0
	fi
	mkdir -p "$dir"
	socket=$dir/postgres/.s.PGSQL.5432
	if ((${#socket} > 107)) || [[ $dir =~ [^A-Za-z0-9/._-] ]] || ! as_server test -x "$dir"; then
		dir=$(mktemp -d /var/tmp/rowfs-shop.XXXXXX)
		chmod 755 "$dir"
	fi
	echo "$dir" | tee "$var/servers"
}

# The daemon has no pid file; its arguments name the mount point, which is its alone.
rowfs_pid() {
	local process argument

	for process in /proc/[0-9]*; do
		[[ $(cat "$process/comm" 2>/dev/null) == rowfs ]] || continue
		while IFS= read -r -d '' argument; do
			if [[ $argument == "$mnt" ]]; then
				echo "${process#/proc/}"
				return 0
			fi
		done 2>/dev/null <"$process/cmdline"
	done
}

# End what was started, in the order that lets each finish its work, and remove what it made.
example_end() {
	local pid servers

	pid=$(rowfs_pid)
	unmount "$mnt"
	if [[ -n $pid ]]; then
		wait_until 10 process_gone "$pid" || end_process "$pid"
	fi
	if [[ -f $var/servers ]]; then
		servers=$(<"$var/servers")
		redis_stop "$servers"
		cluster_stop "$servers/postgres"
		rm -rf "$servers"
	fi
	rm -rf "$var"
	rmdir "$mnt" 2>/dev/null || true
}
