# Private PostgreSQL clusters and Redis servers on unix sockets, for the tests and the example.
#
# PostgreSQL refuses to run as root, so root starts it as the user postgres. What these functions
# start listens on no network port, and is ended by its process id or its data directory, never by name.

# The newest PostgreSQL of the machine. Debian keeps the server's programs out of PATH.
postgres_bin() {
	local dir

	dir=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
	if [[ ! -x $dir/postgres ]]; then
		dir=$(dirname "$(readlink -f "$(command -v postgres)")")
	fi
	printf '%s\n' "$dir"
}

# Its psql and createdb, too: Debian's in PATH are scripts that choose a version, and take three times as long.
if [[ -x $(postgres_bin)/psql ]]; then
	PATH=$(postgres_bin):$PATH
fi

# The account that may run a database server, and a way to become it.
server_user() {
	if ((EUID == 0)); then echo postgres; else id -un; fi
}

as_server() {
	if ((EUID == 0)); then
		(cd / && exec runuser -u postgres -- "$@")
	else
		"$@"
	fi
}

# wait_until SECONDS COMMAND...: repeat the command until it succeeds; fail at the deadline. What takes long is asked
# less often, since most commands start a program.
wait_until() {
	local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000)) pauses=0

	shift
	until "$@"; do
		((${EPOCHREALTIME/[.,]/} < deadline)) || return 1
		sleep $((++pauses < 10 ? 2 : 6))e-2
	done
}

# cluster_create DIR [another]: a new cluster in DIR/data, socket and log in DIR. DIR is given to the server's user;
# fsync is off, since these databases live for minutes. With $ROWFS_TEST_CLUSTERS (tests/run makes it), DIR/data is a link
# to a copy of the template that is there: one system identifier for all, unless this is to be another.
cluster_create() {
	local dir=$1 template=${ROWFS_TEST_CLUSTERS:+$ROWFS_TEST_CLUSTERS/template} data

	mkdir -p "$dir"
	if ((EUID == 0)); then chown postgres "$dir"; fi
	if [[ -n $template ]]; then
		data=$(as_server mktemp -d "$ROWFS_TEST_CLUSTERS/data.XXXXXX")
		as_server ln -s "$data" "$dir/data"
	fi
	if [[ -n $template && -z ${2:-} ]]; then
		as_server cp -a "$template/." "$dir/data"
	else
		cluster_init "$dir/data" >"$dir/initdb.log" 2>&1 || {
			cat "$dir/initdb.log" >&2
			return 1
		}
	fi
	as_server tee -a "$dir/data/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$dir'
		fsync = off
		shared_buffers = 32MB
		max_connections = 60
		jit = off
	CONF
}

# cluster_init DATA: what initdb makes.
cluster_init() {
	as_server "$(postgres_bin)/initdb" --no-sync -D "$1" -U postgres -A trust -E UTF8 --locale=C.UTF-8
}

# cluster_configure DIR LINE...: add lines to postgresql.conf; for the next start.
cluster_configure() {
	local dir=$1

	shift
	printf '%s\n' "$@" | as_server tee -a "$dir/data/postgresql.conf" >/dev/null
}

# The server writes its log straight to the file, so a statement is there before its answer is.
cluster_start() {
	local dir=$1

	as_server "$(postgres_bin)/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -s start \
		</dev/null >"$dir/start.log" 2>&1 3>&- || {
		cat "$dir/start.log" "$dir/log" >&2
		return 1
	}
}

# cluster_stop DIR [fast|immediate]
cluster_stop() {
	[[ -f $1/data/postmaster.pid ]] || return 0
	as_server "$(postgres_bin)/pg_ctl" -D "$1/data" -m "${2:-fast}" -w -t 30 -s stop \
		</dev/null >/dev/null 2>&1
}

# cluster_remove DIR: end it at once, and remove its data; DIR stays.
cluster_remove() {
	local data

	cluster_stop "$1" immediate || return 1
	data=$(readlink -f "$1/data") || return 0
	rm -rf --one-file-system "$data"
	rm -f "$1/data"
}

cluster_pid() {
	head -n 1 "$1/data/postmaster.pid"
}

# redis_start DIR [OPTION...]: a Redis on DIR/redis.sock, pid in DIR/redis.pid. It keeps nothing on disk.
redis_start() {
	local dir=$1

	shift
	mkdir -p "$dir"
	rm -f "$dir/redis.sock"
	redis-server --port 0 --unixsocket "$dir/redis.sock" --unixsocketperm 700 --dir "$dir" \
		--save '' --appendonly no --daemonize no "$@" \
		</dev/null >>"$dir/redis.log" 2>&1 3>&- &
	echo $! >"$dir/redis.pid"
	disown $!
	wait_until 10 redis_answers "$dir" || {
		cat "$dir/redis.log" >&2
		return 1
	}
}

# A server that wants a password answers too.
redis_answers() {
	[[ $(redis-cli -s "$1/redis.sock" PING 2>&1) =~ PONG|NOAUTH ]]
}

# redis_stop DIR [SIGNAL]
redis_stop() {
	local pid

	[[ -f $1/redis.pid ]] || return 0
	pid=$(<"$1/redis.pid")
	rm -f "$1/redis.pid"
	end_process "$pid" "${2:-TERM}"
}

# end_process PID [SIGNAL]: send it and wait for the end; insist after ten seconds.
end_process() {
	kill -"${2:-TERM}" "$1" 2>/dev/null || return 0
	wait_until 10 process_gone "$1" || kill -KILL "$1" 2>/dev/null || true
}

process_gone() {
	local state

	# A child that nobody has waited for yet is gone for our purposes.
	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || true
	[[ -z $state || $state == Z ]]
}

# unmount DIR: the polite way for ten seconds; then those who still wait for an answer are let go.
unmount() {
	is_mounted "$1" || return 0
	wait_until 10 fusermount3 -q -u "$1" 2>/dev/null && return 0
	if ((EUID == 0)); then umount -f "$1" 2>/dev/null || true; fi
	fusermount3 -q -u -z "$1"
}

# mountpoint(1) would ask the file system; the kernel's list answers also when that is stuck.
is_mounted() {
	grep -qF " ${1// /\\040} " /proc/self/mounts
}
