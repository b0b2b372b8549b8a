# What the profiler is made of; every build starts from this list and adds the platform's file.
MEMBUDDY_SOURCES := $(addprefix src/, account.c borrow.c dominators.c gray.c lua_membuddy.c \
  lua_options.c lua_print.c lua_results.c path.c retained.c tree.c walk.c)
