# What the profiler is made of; every build starts from this list.
MEMBUDDY_CORE := $(addprefix src/, account.c borrow.c dominators.c gray.c lua_membuddy.c \
  lua_options.c lua_print.c lua_results.c path.c retained.c tree.c walk.c)
MEMBUDDY_SOURCES := $(MEMBUDDY_CORE) src/platform_wasm.c
MEMBUDDY_NATIVE_SOURCES := $(MEMBUDDY_CORE) src/platform_native.c

# Compiled for speed; the rest for size.
MEMBUDDY_HOT := src/walk.c
# Never wait for the host (functions, after inlining): Asyncify leaves them alone.
MEMBUDDY_NEVER_WAIT := push_results push_account push_kinds
# Stand in no caller's frame, so that callers which may wait stay small.
MEMBUDDY_APART := walk_* tree_* retained_of_tree account_read results_*
