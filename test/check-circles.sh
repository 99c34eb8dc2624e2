#!/bin/sh
# Fails where source files need each other in a circle: which of them calls whom, by the symbols of their objects.
#
#   test/check-circles.sh [DIR]       checks the objects below DIR (default: src), which must be built
#   test/check-circles.sh --self-test shows that it can fail
set -eu

# "USER OWNER", for each object that uses a symbol of another one.
needs()
{
	find "$1" -name '*.o' | sort | xargs -r nm -A -P | sed -E 's/^[^:]*\/([^:\/]+\/[^:\/]+)\.o:/\1/' |
		awk '$3 == "U" { wants[++n] = $1 " " $2; next }
			$3 ~ /^[TDBRC]$/ { owner[$2] = $1 }
			END {
				for (i = 1; i <= n; i++) {
					split(wants[i], w, " ")
					if (w[2] in owner && owner[w[2]] != w[1])
						print w[1], owner[w[2]]
				}
			}' | sort -u
}

check()
{
	list=$(needs "$1")
	if [ -z "$list" ]; then
		echo "$1: no objects that use each other: build first"
		return 1
	fi
	if circles=$(printf '%s\n' "$list" | tsort 2>&1 >/dev/null); then
		return 0
	fi
	printf 'source files that need each other:\n%s\n' "$circles" | sed 's/^tsort: //'
	return 1
}

if [ "${1-}" = --self-test ]; then
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	mkdir "$dir/a"
	echo 'int two(void); int one(void); int one(void) { return two(); }' | ${CC:-cc} -xc -c -o "$dir/a/one.o" -
	echo 'int two(void); int two(void) { return 2; }' | ${CC:-cc} -xc -c -o "$dir/a/two.o" -
	check "$dir"
	echo 'int one(void); int two(void); int two(void) { return one(); }' | ${CC:-cc} -xc -c -o "$dir/a/two.o" -
	if check "$dir" >/dev/null; then
		echo "a circle is not found"
		exit 1
	fi
	exit 0
fi
check "${1:-$(dirname "$0")/../src}"
