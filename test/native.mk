# Native tests: test/unit/test_NAME.c becomes build/native/lua54-CONFIG/test_NAME and the same for Lua 5.3, linked with
# the profiler's archive; where a test brings its own version of a part (the lender, the walk), the archive's is not
# taken. With config=sanitize Lua itself runs with its assertions and its check of the API's callers.
#
# PROGRAMS=100000 make test runs more random programs than usual; SEED=n begins with another one.

-include src/sources.mk # MEMBUDDY_NATIVE_SOURCES

NATIVE_LUA := lapi lauxlib lbaselib lcode lcorolib lctype ldblib ldebug ldo ldump lfunc lgc linit liolib llex lmathlib \
  lmem loadlib lobject lopcodes loslib lparser lstate lstring lstrlib ltable ltablib ltm lundump lutf8lib lvm lzio
NATIVE_LUA_54 := $(NATIVE_LUA)
NATIVE_LUA_53 := $(NATIVE_LUA) lbitlib

native_test_names := $(notdir $(basename $(wildcard test/unit/test_*.c)))
native_helpers    := $(filter-out test_%,$(notdir $(basename $(wildcard test/unit/*.c))))
NATIVE_TESTS      := $(foreach version,54 53,$(native_test_names:%=build/native/lua$(version)-$(config)/%))
export NATIVE_TESTS

# What the assertions see is Lua's own business; ours is compiled without, since marks stand in its bits meanwhile.
native_lua_checks_sanitize := -include assert.h '-Dlua_assert=assert' -DLUA_USE_APICHECK
# Not in the collector of 5.3: its claim that no weak table is listed yet fails in programs that nobody measures.
# In the place of the clock and of addresses: the tests say the seed.
native_lua_seed := -DluaS_hash=heap_hash_seed

define native_rules # LUA-VERSION-SHORT
native_dir_$(1) := build/native/lua$(1)-$$(config)

$$(native_dir_$(1))/lua/%.o: test/native.mk $$(LUA_$(1):src=.source) | $$(LUA_READY)
	@mkdir -p $$(@D)
	@$$(CC) -std=gnu99 $$(CFLAGS_$$(config)) -UNDEBUG $$(if $$(filter 53/lgc,$(1)/$$*),,$$(native_lua_checks_$$(config))) -DLUA_COMPAT_5_3 -DLUA_COMPAT_5_2 \
	  $$(if $$(filter lstate,$$*),$$(native_lua_seed)) -I$$(LUA_$(1)) -c $$(LUA_$(1))/$$*.c -o $$@

$$(native_dir_$(1))/src/%.o: src/%.c test/native.mk $$(LUA_$(1):src=.source) | $$(LUA_READY) $$(MEMBUDDY_GENERATED)
	@mkdir -p $$(@D)
	@$$(CC) $$(NATIVE_CFLAGS) -MMD -MP -Isrc -Ibuild/generated -I$$(LUA_$(1)) -c $$< -o $$@

$$(native_dir_$(1))/unit/%.o: test/unit/%.c test/native.mk $$(LUA_$(1):src=.source) | $$(LUA_READY)
	@mkdir -p $$(@D)
	@$$(CC) $$(NATIVE_CFLAGS) -MMD -MP -Isrc -Itest/unit -I$$(LUA_$(1)) -c $$< -o $$@

$$(native_dir_$(1))/liblua.a: $$(NATIVE_LUA_$(1):%=$$(native_dir_$(1))/lua/%.o)
$$(native_dir_$(1))/libmembuddy.a: $$(MEMBUDDY_NATIVE_SOURCES:src/%.c=$$(native_dir_$(1))/src/%.o)
$$(native_dir_$(1))/libunit.a: $$(native_helpers:%=$$(native_dir_$(1))/unit/%.o)

$$(native_dir_$(1))/test_%: $$(native_dir_$(1))/unit/test_%.o $$(native_dir_$(1))/libunit.a \
  $$(native_dir_$(1))/libmembuddy.a $$(native_dir_$(1))/liblua.a
	@echo "$$@"
	@$$(CC) $$(CFLAGS_$$(config)) $$^ $$(native_dir_$(1))/libunit.a -lm -o $$@
endef
$(foreach version,54 53,$(eval $(call native_rules,$(version))))

build/native/%.a:
	@rm -f $@ && ar rcs $@ $^

.SECONDARY: $(foreach version,54 53,$(native_test_names:%=$(native_dir_$(version))/unit/%.o))
native-tests: $(NATIVE_TESTS) ## the native test programs (config=debug, release or sanitize)

-include $(shell find build/native -name '*.d' 2>/dev/null)
