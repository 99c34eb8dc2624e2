# The converters, with PostgreSQL's headers and without PostgreSQL.
PG_INCLUDE := $(shell $(or $(PG_CONFIG),pg_config) --includedir-server 2>/dev/null)
ifeq ($(wildcard $(PG_INCLUDE)/postgres.h),)
SKIPPED += convert
endif
SRCS_convert := $(addprefix $(TOP)/src/,exec/convert.c wire/csv_scan.c wire/json_unescape.c wire/text.c wire/wiretime.c)
FLAGS_convert := -D_GNU_SOURCE -I$(PG_INCLUDE) -fno-strict-aliasing -fwrapv -Wno-unused-parameter -Wno-ignored-attributes
