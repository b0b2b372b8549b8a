# In the place of src/sources.mk.
MEMBUDDY_SOURCES := src/lua_membuddy.c
MEMBUDDY_MAY_WAIT := lua_membuddy
