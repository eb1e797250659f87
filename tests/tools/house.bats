# The rules of the house that no compiler checks.

TOP=$(readlink -f "$BATS_TEST_DIRNAME/../..")

setup() {
	cd "$TOP" || return 1
}

# includes FOLDER: what the files of that layer include of the others and of the worlds outside.
includes() {
	grep -rhoE '^#include [<"][^>"]+[>"]' "src/$1" "include/rowfs/$1" 2>/dev/null |
		sed -E 's/#include [<"]([^>"]+)[>"]/\1/' | sort -u
}

# may_not LAYER PATTERN: no include of that layer matches.
may_not() {
	if includes "$1" | grep -E "$2"; then
		echo "src/$1 or include/rowfs/$1 includes that" >&2
		return 1
	fi
}

@test "arrows between the layers point down only" {
	[[ $(includes engine | wc -l) -gt 5 ]]
	may_not base '^rowfs/(model|engine|pg|redis|fuse|app)/'
	may_not model '^rowfs/(engine|pg|redis|fuse|app)/'
	may_not engine '^rowfs/(pg|redis|fuse|app)/'
	may_not pg '^rowfs/(redis|fuse|app)/'
	may_not redis '^rowfs/(pg|fuse|app)/'
	may_not fuse '^rowfs/(pg|redis|app)/'
}

@test "each world's headers are included by its own layer only" {
	for layer in base model engine redis fuse; do may_not "$layer" '^(postgresql/)?libpq'; done
	for layer in base model engine pg fuse; do may_not "$layer" '^hiredis'; done
	for layer in base model engine pg redis; do may_not "$layer" '^fuse'; done
}

@test "scripts pass bash -n and shellcheck" {
	scripts=$(find tests mnt-example .ci -type f \( -name '*.bash' -o -perm -u=x \))
	[[ -n $scripts ]]
	for script in $scripts; do
		bash -n "$script"
	done
	command -v shellcheck >/dev/null || skip "no shellcheck"
	# shellcheck disable=SC2086
	shellcheck -x -P mnt-example -P tests/lib $scripts
}

@test "every option is in docs/configuration.md" {
	options=$("${ROWFS:-build/rowfs}" --help | sed -n 's/^  \([a-z_]*\)\(=.*\| .*\|$\)/\1/p' | sort -u)
	[[ -n $options ]]
	for option in $options; do
		grep -q "^| \`$option" docs/configuration.md || {
			echo "not documented: $option" >&2
			return 1
		}
	done
}

@test "every link in the documentation leads to a file" {
	for page in README.md docs/*.md; do
		for link in $(grep -oE '\]\([^)#]+' "$page" | cut -c3- | grep -v '^http' || true); do
			[[ -e $(dirname "$page")/$link ]] || {
				echo "$page links to $link, which does not exist" >&2
				return 1
			}
		done
	done
}

@test "no test is silently empty: each file of tests is run by meson" {
	for file in tests/integration/*.bats tests/tools/*.bats; do
		grep -q "'$(basename "$file" .bats)'" "$(dirname "$file")/meson.build"
	done
	for file in tests/unit/test_*.c; do
		name=$(basename "$file" .c)
		grep -q "'${name#test_}'" tests/unit/meson.build || {
			echo "$file is not in tests/unit/meson.build" >&2
			return 1
		}
	done
}
