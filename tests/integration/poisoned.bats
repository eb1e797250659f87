# What is under a row's name in Redis and is no copy of it that counts: it changes no content, is replaced by the next
# copy, and is counted.

load ../lib/rowfs
load ../lib/feed

setup_file() {
	feed_start
}

teardown_file() {
	harness_end
}

setup() {
	pages_new
	feed_mount mnt
	cat "$HARNESS/mnt/public/pages/1.json" >/dev/null
	is_copied() { [[ -n $(redis --scan --pattern 'rf:*:r:*:1') ]] && holds_copy; }
	wait_until "$PATIENCE" is_copied
	KEY=$(redis --scan --pattern 'rf:*:r:*:1')
}

teardown() {
	mounts_end
}

holds_copy() {
	redis GET "$(redis --scan --pattern 'rf:*:r:*:1')" | grep -q '"n": 0'
}

# Another mount, which has nothing of the row in memory, reads it; and after that its copy is there.
assert_replaced() {
	mount_rowfs other admit=first
	feed_live other
	assert_equal "$(jq -c . "$HARNESS/other/public/pages/1.json")" '{"id":1,"n":0}'
	wait_until "$PATIENCE" holds_copy
	(($(redis PTTL "$KEY") > 0))
	assert_equal "$(feed_get other "$1")" 1
	assert_equal "$(feed_get other cache_hits)" 0
}

@test "garbage is ignored, replaced and counted" {
	redis SET "$KEY" $'{"id": 1, "n": 99}' >/dev/null
	assert_replaced cache_garbage
}

@test "a copy that was cut is ignored, replaced and counted" {
	redis SET "$KEY" "$(redis GET "$KEY" | head -c -3)" >/dev/null
	assert_replaced cache_garbage
}

@test "a copy of another epoch is ignored, replaced and counted" {
	redis EVAL "local v = redis.call('GET', KEYS[1])
		return redis.call('SET', KEYS[1], '0/0-0' .. string.sub(v, string.find(v, '/'), -1))" 1 "$KEY" >/dev/null
	holds_copy
	assert_replaced cache_outdated
}

@test "a lease that has no end is ignored, replaced and counted" {
	redis SET "$KEY" L:0123456789abcdef0123456789abcdef >/dev/null
	assert_replaced cache_garbage
}

@test "a lease that has an end is waited for" {
	redis SET "$KEY" L:0123456789abcdef0123456789abcdef PX 600000 >/dev/null
	mount_rowfs other admit=first
	feed_live other
	assert_equal "$(jq -c . "$HARNESS/other/public/pages/1.json")" '{"id":1,"n":0}'
	assert_equal "$(redis GET "$KEY")" L:0123456789abcdef0123456789abcdef
	assert_equal "$(feed_get other cache_garbage)" 0
	# A change ends it.
	sql "UPDATE pages SET n = 0 WHERE id = 1"
	lease_gone() { [[ $(redis EXISTS "$KEY") == 0 ]]; }
	wait_until "$PATIENCE" lease_gone
}

@test "a key of another type is ignored, replaced and counted" {
	for make in 'RPUSH KEY a b' 'HSET KEY f v' 'SADD KEY a' 'ZADD KEY 1 a' 'XADD KEY 1-1 f v'; do
		redis DEL "$KEY" >/dev/null
		redis ${make/KEY/"$KEY"} >/dev/null
		assert_replaced cache_garbage
		unmount_rowfs other
	done
}

@test "whatever lies where a lease on the whole relation would be keeps no row out, and ends with the next fill" {
	local whole

	whole=${KEY/:r:/:l:}
	whole=${whole%:1}
	for make in 'SET KEY garbage' 'SET KEY L:P:0123456789abcdef0123456789abcdef' 'RPUSH KEY a b'; do
		redis DEL "$KEY" >/dev/null
		redis ${make/KEY/"$whole"} >/dev/null
		mount_rowfs other admit=first
		feed_live other
		assert_equal "$(jq -c . "$HARNESS/other/public/pages/1.json")" '{"id":1,"n":0}'
		wait_until "$PATIENCE" holds_copy
		assert_equal "$(redis EXISTS "$whole")" 0
		unmount_rowfs other
	done
}
