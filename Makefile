# ampsf_fdw: Salesforce inside PostgreSQL.
#
#   make                 the extension (needs PostgreSQL's server headers; PG_CONFIG=... picks a version)
#   make install         into that PostgreSQL
#   make sandbox         the Salesforce org on this machine: build/sandbox/ampsf-sandbox
#   make demo            installs what is missing, builds, shows a tour, leaves nothing running
#   make demo-shell      the same cluster, and psql in it
#   make test            everything; the last line is "N passed, N failed"
#   make installcheck    the SQL suites against a running cluster (see docs/testing.md)
#   make bench           benchmarks, printed as ratios
#   make lint            layers, format, static analysis
#
# WERROR=1 makes warnings errors.

EXTENSION = ampsf_fdw
MODULE_big = ampsf_fdw
# The script of CREATE EXTENSION is its parts, in the order in which they need one another.
DATA_built = ampsf_fdw--1.0.sql
SQL_PARTS = \
	src/functions/core.sql \
	src/functions/org.sql \
	src/functions/ampersand.sql \
	src/functions/spent.sql \
	src/sync/mirror_tables.sql \
	src/sync/mirror.sql \
	src/sync/mirror_lanes.sql \
	src/sync/merge.sql \
	src/sync/mirror_rows.sql \
	src/sync/mirror_check.sql \
	src/sync/mirror_columns.sql \
	src/sync/mirror_target.sql \
	src/sync/formula.sql \
	src/sync/live_view.sql \
	src/sync/history.sql \
	src/sync/mirror_run.sql \
	src/sync/verify_spans.sql \
	src/sync/verify.sql \
	src/sync/check_access.sql \
	src/sync/change.sql \
	src/sync/apply.sql \
	src/sync/mirror_keys.sql \
	src/sync/subscription.sql \
	src/sync/event.sql \
	src/sync/renamed.sql \
	src/sync/schedule.sql \
	src/sync/refresh.sql \
	src/sync/writeback_tables.sql \
	src/sync/writeback.sql \
	src/sync/writeback_send.sql \
	src/sync/writeback_run.sql \
	src/sync/grants.sql
OBJS = ampsf_fdw.o $(patsubst %.c,%.o,$(sort $(wildcard src/*/*.c)))

PG_CPPFLAGS = -Isrc
PG_CFLAGS = -Wall -Wextra -Wmissing-prototypes -Wdeclaration-after-statement -Wno-unused-parameter -MMD -MP
ifdef WERROR
PG_CFLAGS += -Werror
endif

# Only what PostgreSQL looks up by name leaves the library: its symbols share one space with every other
# extension of the backend.
EXPORTS = build/exports.map
SHLIB_LINK = -lcurl -ljson-c -lcrypto -Wl,--version-script=$(EXPORTS)

# Bitcode for the JIT's inliner would need clang and gains nothing here.
override with_llvm = no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

ifneq ($(wildcard $(PGXS)),)
# PGXS has its own idea of installcheck and clean; what it lacks is added below.
EXTRA_CLEAN = build $(OBJS:.o=.d) ampsf_fdw--1.0.sql
include $(PGXS)

$(shlib): $(EXPORTS)

ampsf_fdw--1.0.sql: $(SQL_PARTS) Makefile
	cat $(SQL_PARTS) > $@

$(EXPORTS): $(OBJS)
	@mkdir -p $(@D)
	@nm -g --defined-only $(OBJS) | awk 'BEGIN { print "{ global:" } \
		$$3 ~ /^(Pg_magic_func|_PG_init|ampsf_[a-z_]+_main)$$/ { print "  " $$3 ";" } \
		$$3 ~ /^pg_finfo_/ { print "  " $$3 "; " substr($$3, 10) ";" } \
		END { print "local: *; };" }' > $@

-include $(OBJS:.o=.d)
else
all install:
	@echo 'PostgreSQL'\''s server headers are missing ($(PG_CONFIG) --pgxs finds nothing).' >&2
	@echo 'test/install-deps.sh installs what a Debian machine lacks; or set PG_CONFIG.' >&2
	@exit 1

clean:
	rm -rf build ampsf_fdw.so ampsf_fdw--1.0.sql $(OBJS) $(OBJS:.o=.d)
endif

# The targets below also work where PostgreSQL is still missing: they install it and call make again.

sandbox:
	$(MAKE) -C test/sandbox

demo:
	@test/install-deps.sh
	@test/demo/demo.sh

demo-shell:
	@test/install-deps.sh
	@test/demo/demo.sh --shell

test:
	@test/install-deps.sh --test
	@PG_CONFIG='$(PG_CONFIG)' test/run.sh

installcheck:
	@PG_CONFIG='$(PG_CONFIG)' test/regress.sh

bench:
	@test/install-deps.sh --test
	@PG_CONFIG='$(PG_CONFIG)' test/bench/bench.sh

lint:
	@test/lint.sh

.PHONY: all install clean sandbox demo demo-shell test installcheck bench lint
