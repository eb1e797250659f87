# Programs on terminals, each in a tmux of its own. TERMINAL says which one is meant.
#
#   on_terminal vim FILE; screen_shows text; type_keys :wq Enter; wait_until 20 terminal_ended
#
# terminals_end belongs into teardown.

terminal() {
	tmux -L "rowfs$$-${TERMINAL:-first}" -f /dev/null "$@" 3>&-
}

# on_terminal COMMAND...: start it.
on_terminal() {
	terminal new-session -d -x 100 -y 40 "$(printf '%q ' "$@")"
	TERMINALS+=("${TERMINAL:-first}")
}

type_keys() {
	terminal send-keys "$@"
}

# screen_shows PATTERN: within 20 seconds; shows what the screen has instead.
screen_shows() {
	wait_until 20 screen_has "$1" && return 0
	terminal capture-pane -p >&2
	return 1
}

screen_has() {
	terminal capture-pane -p 2>/dev/null | grep -q -- "$1"
}

terminal_ended() {
	! terminal has-session 2>/dev/null
}

terminals_end() {
	local TERMINAL

	for TERMINAL in "${TERMINALS[@]}"; do
		terminal kill-server 2>/dev/null || true
	done
}
