# The sandbox's SOQL: the parser's files only.
SRCS_soql := $(addprefix $(TOP)/test/sandbox/,soql_lex.c soql_parse.c soql_date.c buf.c)
FLAGS_soql := -D_GNU_SOURCE -Wno-unused-parameter $(shell pkg-config --cflags json-c sqlite3)
LIBS_soql := -lm
