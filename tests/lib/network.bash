# Machines for the tests of a cut network: each is a network namespace with one cable to PostgreSQL's switch and one
# to Redis' switch. A cable is a veth pair whose far end is in the namespace of the switches; it is cut by setting that
# end down, so that packets vanish and nobody is told, as when a switch dies. All of it is in namespaces of this file's
# own; files and Unix sockets are the machine's, so a test reads the mounts and asks the servers from outside.
#
#   network_start MACHINE…; network_run MACHINE COMMAND…; cut MACHINE pg|redis; heal MACHINE pg|redis; network_end

POSTGRES_ADDRESS=10.77.1.1
REDIS_ADDRESS=10.77.2.1

network_start() {
	local machine number=10

	NETWORK=rf$$
	export NETWORK
	ip netns add "$NETWORK-hub" 2>/dev/null || skip "no network namespaces here"
	for machine in pg redis; do ip -n "$NETWORK-hub" link add "$machine" type bridge; done
	for machine in pg redis; do ip -n "$NETWORK-hub" link set "$machine" up; done
	for machine in postgres redis "$@"; do
		ip netns add "$NETWORK-$machine"
		ip -n "$NETWORK-$machine" link set lo up
	done
	cable postgres pg "$POSTGRES_ADDRESS"
	cable redis redis "$REDIS_ADDRESS"
	for machine in "$@"; do
		number=$((number + 1))
		cable "$machine" pg "10.77.1.$number"
		cable "$machine" redis "10.77.2.$number"
	done
}

# cable MACHINE SWITCH ADDRESS
cable() {
	ip -n "$NETWORK-hub" link add "$2-$1" type veth peer name "$2" netns "$NETWORK-$1"
	ip -n "$NETWORK-hub" link set "$2-$1" master "$2" up
	ip -n "$NETWORK-$1" address add "$3/24" dev "$2"
	ip -n "$NETWORK-$1" link set "$2" up
}

cut() {
	ip -n "$NETWORK-hub" link set "$2-$1" down
}

heal() {
	ip -n "$NETWORK-hub" link set "$2-$1" up
}

# Only the network is another: `ip netns exec` would hide the mounts, too.
network_enter() {
	echo "nsenter --net=/run/netns/$NETWORK-$1"
}

network_run() {
	local machine=$1

	shift
	# shellcheck disable=SC2016,SC2046
	$(network_enter "$machine") bash -c 'source "$0"; "$@"' "$TOP/tests/lib/servers.bash" "$@"
}

network_end() {
	local namespace

	[[ -n ${NETWORK:-} ]] || return 0
	for namespace in $(ip netns list | awk '{print $1}' | grep "^$NETWORK-"); do
		ip netns del "$namespace"
	done
}
