#!/bin/bash
# Layers, format and static analysis.  The layers decide; the others are shown where their tool is installed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

status=0
test/check-layers.sh || status=1
files=$(find ampsf_fdw.c src test -name '*.[ch]' -not -path '*/node_modules/*')
if command -v clang-format >/dev/null; then
	# shellcheck disable=SC2086
	unformatted=$(clang-format --dry-run $files 2>&1 | sed -n 's/^\([^:]*\):.*clang-format-violations.*/\1/p' | sort | uniq -c)
	[ -z "$unformatted" ] || printf 'not as clang-format would have it (places, file):\n%s\n' "$unformatted"
fi
if command -v cppcheck >/dev/null; then
	# Left out: what its parser does not understand, and what it takes for a fault because it does not know that
	# ereport(ERROR) does not return, or that only the address of a variable is taken.
	cppcheck --quiet --enable=warning,portability --inline-suppr --suppress=missingIncludeSystem -Isrc \
		--suppress=unknownMacro --suppress=internalAstError --suppress=syntaxError:src/org/row_sink.h \
		--suppress=nullPointerRedundantCheck --suppress=nullPointerArithmeticRedundantCheck \
		--suppress=uninitvar:src/wire/csv_scan.c --error-exitcode=1 ampsf_fdw.c src test/sandbox || status=1
fi
if command -v shellcheck >/dev/null; then
	shellcheck -S warning test/*.sh test/demo/*.sh test/bench/*.sh .ci/run || status=1
fi
exit $status
