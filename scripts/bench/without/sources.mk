# In the place of src/sources.mk: the rules want one file compiled for speed, and one for size.
MEMBUDDY_SOURCES := src/lua_membuddy.c src/nothing.c
MEMBUDDY_HOT := src/nothing.c
MEMBUDDY_MAY_WAIT := lua_membuddy
