# What the profiler is made of; every build starts from this list.
MEMBUDDY_CORE := $(addprefix src/, account.c borrow.c dominators.c graph.c gray.c lua_functions.c \
  lua_membuddy.c lua_options.c lua_print.c lua_results.c lua_support.c path.c retained.c survivors.c \
  tree.c walk.c walk_objects.c)
MEMBUDDY_SOURCES := $(MEMBUDDY_CORE) src/linear_memory.c src/platform_wasm.c
MEMBUDDY_NATIVE_SOURCES := $(MEMBUDDY_CORE) src/linear_memory.c src/platform_native.c

# Compiled for speed, where it does not say otherwise itself; the rest for size.
MEMBUDDY_HOT := src/walk.c

# May be on the stack while the process waits for the host (by object); all others never are.
MEMBUDDY_MAY_WAIT := lua_membuddy

# What reads a heap, without any of Lua's functions: all that the modules for the outside need.
MEMBUDDY_WALKER := $(addprefix src/, dominators.c gray.c graph.c graph_late.c path.c retained.c survivors.c tree.c walk.c walk_objects.c)

# Made on the way: checks.lua as data for lua_membuddy.c.
MEMBUDDY_GENERATED := build/generated/checks_source.h
