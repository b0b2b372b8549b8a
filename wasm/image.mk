# The images and the drop-in archives, for each Lua version and width:
#   dist/libmembuddy-lua54-wasm64.a   the profiler: an archive for `ao build`'s libs/ folder
#   dist/membuddy-lua54-wasm64.wasm   an aos image linked from that very archive
#
# An image of another preset has the preset's name at the end of its own. AOS_PROCESS=dir takes aos's Lua from the
# `process` folder of an aos checkout.

PRESET ?= default
# memory of the image: default (small, measured), or xs, sm, md, lg, xl, xxl of the official builder

# Stack, initial and maximum memory, in bytes: the official builder's.
preset_xs      := 16777216 20971520 134217728
preset_sm      := 33554432 37748736 268435456
preset_md      := 67108864 71303168 536870912
preset_lg      := 100663296 104857600 1073741824
preset_xl      := 134217728 138412032 8589934592
preset_xxl     := 536870912 543162368 17179869184
# Ours: the stack is what the deepest recursion that Lua allows was measured to need, and two fifths more
# (test/image-stack.test.js); the rest grows as it is needed.
preset_default := measured
measured_lua54-wasm64 := 491520 786432 1073741824
measured_lua54-wasm32 := 262144 524288 1073741824
measured_lua53-wasm64 := 2490368 2752512 1073741824
measured_lua53-wasm32 := 1245184 1507328 1073741824

# Nothing below needs editing.

ifeq ($(preset_$(PRESET)),)
$(error PRESET=$(PRESET) is not known: default, xs, sm, md, lg, xl or xxl)
endif

-include src/sources.mk # MEMBUDDY_SOURCES: the C files of the profiler

image_variants   := lua54-wasm64 lua54-wasm32 lua53-wasm64 lua53-wasm32
image_suffix     := $(if $(filter-out default,$(PRESET)),-$(PRESET))
image_archives   := $(image_variants:%=dist/libmembuddy-%.a)
image_default    := $(image_variants:%=dist/membuddy-%.wasm)
image_files      := $(image_variants:%=dist/membuddy-%$(image_suffix).wasm)
image_official   := build/specimens/aos2_0_6.wasm
image_bundle     := build/image/bundle
image_ready      := $(TOOLCHAIN_READY) $(LUA_READY)
image_boot       := $(filter-out wasm/boot/bit32_%,$(wildcard wasm/boot/*.c)) wasm/boot/stack.S
image_boot_headers := $(wildcard wasm/boot/*.h)

image_lua54      := build/lua-5.4.7/src
image_lua53      := build/lua-5.3.6/src
image_compat_lua54 := -DLUA_COMPAT_5_3
image_compat_lua53 := -DLUA_COMPAT_5_2
image_width_wasm64 := --target=wasm64 -Wno-experimental
image_width_wasm32 :=

# No instruction that the published images do without: a host may know no others (the loader's meter does not).
image_features   := -mno-bulk-memory -mno-nontrapping-fptoint -mno-reference-types -mno-multivalue

# The bytes must not depend on the folder; the hash seed and the order of sorting must not depend on the clock.
image_cflags     := -O3 -DNDEBUG -ffile-prefix-map=$(CURDIR)=. -Wall -Wextra $(image_features)
# A table of jump targets copies the dispatch into each of Lua's instructions; in WebAssembly that gains nothing, and the
# interpreter becomes so large that V8 gives it frames of 28 KB: 35 nested C calls fill its stack.
image_dispatch   := -DLUA_USE_JUMPTABLE=0
image_seed       := '-Dluai_makeseed(...)=0x61a05eedu'
image_seed_lua53 := -DluaS_hash=image_hash_of_addresses
image_pivot      := '-Dl_randomizePivot()=~0u'

# Objects that every Emscripten from 3.1.59 on links: no link-time bitcode, no features newer than its own, and code
# without a place of its own, which a builder wants that links for dynamic loading (-sMAIN_MODULE).
archive_cflags   := -Oz -fPIC -DNDEBUG -std=c11 -ffile-prefix-map=$(CURDIR)=. -Wall -Wextra -Werror $(image_features)

# The profiler is one object, so that the compiler sees what is used once; but for its border.
image_border     := $(MEMBUDDY_MAY_WAIT:%=src/%.c)

.PHONY: images archives reproducible
images: $(image_files) ## four aos images with membuddy inside (PRESET=..., AOS_PROCESS=...)

archives: $(image_archives) ## the profiler for libs/ of the official builder

# Lua's own sources, except its two programs; what opens files does so through the host.
lua_opens_files  := liolib.c lauxlib.c loadlib.c
lua_sources       = $(filter-out $(lua_opens_files) lstate.c lua.c luac.c lbitlib.c,$(notdir $(wildcard $(1)/l*.c)))

# The three sizes. $(1): variant, $(2): preset
image_memory = $(if $(filter default,$(2)),$(measured_$(1)),$(preset_$(2)))

image_part = $(word $(1),$(subst -, ,$(2)))

# What an object is compiled from and with, besides our own. $(1): Lua version
image_made_from = $(image_$(1):src=.source) $(TOOLCHAIN_VERSION) | $(image_ready)

# $(1): variant, $(2): Lua version (lua54), $(3): width (wasm64). A .source is written when the sources become others, as by
# LUA_DIR.
define image_rules
build/image/$(1)/lua.done: wasm/boot/weavedrive.h wasm/boot/buffers.h wasm/image.mk $(call image_made_from,$(2))
	@echo "$(1): Lua"
	@work=$$(@D)/lua.$$$$$$$$ && mkdir -p $$$$work && sources=$$(CURDIR)/$$(image_$(2)) && boot=$$(CURDIR)/wasm/boot && \
	 flags="$$(image_cflags) $$(image_width_$(3)) -w -I$$$$sources" && (cd $$$$work && \
	 cp $$(CURDIR)/$$(image_lua53)/lbitlib.c . && \
	 $$(EMCC) $$$$flags $$(image_compat_$(2)) $$(image_dispatch) $$(image_pivot) -c $$(addprefix $$$$sources/,$$(call lua_sources,$$(image_$(2)))) && \
	 $$(EMCC) $$$$flags $$(image_compat_$(2)) $$(image_seed) $$(image_seed_$(2)) -c $$$$sources/lstate.c && \
	 $$(EMCC) $$$$flags $$(image_compat_$(2)) -include $$$$boot/weavedrive.h -include $$$$boot/buffers.h -c $$(addprefix $$$$sources/,$$(lua_opens_files)) && \
	 $$(EMCC) $$$$flags -DLUA_COMPAT_BITLIB -c lbitlib.c && rm lbitlib.c) && \
	 rm -rf $$(@D)/lua && mv $$$$work $$(@D)/lua
	@touch $$@

build/image/$(1)/boot.done: $$(image_boot) $$(image_boot_headers) wasm/boot/bit32_$(2:lua%=%).c $$(image_bundle)/done \
  wasm/image.mk $(call image_made_from,$(2))
	@work=$$(@D)/boot.$$$$$$$$ && mkdir -p $$$$work && root=$$(CURDIR) && (cd $$$$work && $$(EMCC) $$(image_cflags) $$(image_width_$(3)) -Werror \
	 -I$$$$root/wasm/boot -I$$$$root/$$(image_$(2)) \
	 -c $$(addprefix $$$$root/,$$(image_boot) wasm/boot/bit32_$(2:lua%=%).c $$(image_bundle)/bundle.c)) && \
	 rm -rf $$(@D)/boot && mv $$$$work $$(@D)/boot
	@touch $$@

dist/libmembuddy-$(1).a: $$(MEMBUDDY_SOURCES) $$(MEMBUDDY_GENERATED) $$(wildcard src/*.h) $$(wildcard src/sources.mk) wasm/image.mk $(call image_made_from,$(2))
	@echo "$$@"
	@work=build/image/$(1)/membuddy.$$$$$$$$ && mkdir -p dist $$$$work && root=$$(CURDIR) && (cd $$$$work && \
	 printf '%s\n' $$(patsubst src/%,'#include "%"',$$(filter-out $$(image_border) $$(MEMBUDDY_HOT),$$(MEMBUDDY_SOURCES))) >membuddy.c && \
	 $$(EMCC) $$(archive_cflags) $$(image_width_$(3)) -I$$$$root/src -I$$$$root/build/generated -I$$$$root/$$(image_$(2)) -c membuddy.c $$(addprefix $$$$root/,$$(image_border)) && \
	 $$(if $$(MEMBUDDY_HOT),$$(EMCC) $$(archive_cflags) -O2 $$(image_width_$(3)) -I$$$$root/src -I$$$$root/$$(image_$(2)) -c $$(addprefix $$$$root/,$$(MEMBUDDY_HOT)),true) && \
	 $$(EMAR) rcD archive.a *.o) && mv $$$$work/archive.a $$@ && rm -rf $$$$work
endef

# $(1): variant, $(2): width, $(3): preset, $(4): suffix. The objects are in one order everywhere, so the bytes do not
# depend on how a language sorts.
define image_link_rule
dist/membuddy-$(1)$(4).wasm: build/image/$(1)/lua.done build/image/$(1)/boot.done dist/libmembuddy-$(1).a \
  wasm/link.sh wasm/host_imports.js wasm/limits.c
	@echo "$$@"
	@LC_ALL=C; EMCC=$$(EMCC) WASM_OPT=$$(WASM_OPT) LLVM_NM=$$(LLVM_NM) MEMBUDDY_MAY_WAIT='$$(MEMBUDDY_MAY_WAIT)' wasm/link.sh $(2:wasm%=%) $$(call image_memory,$(1),$(3)) $$(image_bundle)/sources-$(2).wat $$@ \
	 build/image/$(1)/boot/*.o build/image/$(1)/lua/*.o dist/libmembuddy-$(1).a
endef

$(foreach v,$(image_variants),$(eval $(call image_rules,$(v),$(call image_part,1,$(v)),$(call image_part,2,$(v)))))

# The sample, the tests and the bench take the default preset's, whatever PRESET is.
image_link = $(eval $(call image_link_rule,$(1),$(call image_part,2,$(1)),$(2),$(3)))
$(foreach v,$(image_variants),$(call image_link,$(v),default)$(if $(image_suffix),$(call image_link,$(v),$(PRESET),$(image_suffix))))
test bench: $(image_default)

# aos's own Lua. Another AOS_PROCESS is another bundle, and so is the same one with other files: their sums tell, since a
# file that is gone, or came with an old date, is not newer than anything.
build/image/process: FORCE
	@mkdir -p $(@D) && new=$@.$$$$ && { echo "$$AOS_PROCESS"; [ -z "$$AOS_PROCESS" ] || find -L "$$AOS_PROCESS/" -name '*.lua' -exec cksum {} + 2>/dev/null | sort || true; } >$$new && \
	 if cmp -s $$new $@; then rm $$new; else mv $$new $@; fi

$(image_bundle)/done: $(SPECIMENS_READY) $(NODE_MODULES_READY) wasm/bundle.js test/support/process.js build/image/process
	@$(NODE) $(NODE_FLAGS) --no-warnings wasm/bundle.js $(image_official) $(@D)
	@touch $@

reproducible: $(image_ready) $(SPECIMENS_READY) $(NODE_MODULES_READY) ## builds twice, in folders of different length, and compares the bytes
	@wasm/reproducible.sh $(image_files) $(image_archives)

# The archive in a process of the official builder's kind, for test/image-archive.test.js.
build/image/dropin-%.wasm: dist/libmembuddy-lua53-%.a wasm/dropin/build.sh wasm/dropin/process.c
	@EMCC=$(EMCC) WASM_OPT=$(WASM_OPT) wasm/dropin/build.sh $(*:wasm%=%) $(image_lua53) $< $@

test: build/image/dropin-wasm64.wasm build/image/dropin-wasm32.wasm
