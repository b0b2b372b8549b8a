# The profiler outside a process: position-independent modules that run behind the last page of a stranger's memory
# (src/attach.h).
#
#   dist/attach-lua54-wasm64.wasm and so on: for processes of this kind, in a 32-bit memory, which every engine has and
#     checks for free; what a process of 64 bits refers to is checked before it is followed (src/attach_check.c)
#   dist/attach-lua54-wasm64-large.wasm  the same in a 64-bit memory, for what does not fit into the other

attach_variants := $(image_variants)
attach_files    := $(attach_variants:%=dist/attach-%.wasm) $(patsubst %,dist/attach-%-large.wasm,$(filter %-wasm64,$(attach_variants)))
attach_sources  := $(sort $(wildcard src/attach*.c)) src/account.c src/linear_memory.c $(MEMBUDDY_WALKER)
attach_cflags   := -O2 -DNDEBUG -std=gnu11 -ffile-prefix-map=$(CURDIR)=. -Wall -Wextra -Werror -fno-builtin-printf \
                   -mbulk-memory -fvisibility=hidden

# Long loops work in pieces, a call each: an engine that compiles better while a function runs changes over at the next.
attach_pieces   := --one-caller-inline-max-function-size=0

attach_optimize = $(WASM_OPT) --all-features -O3 $(attach_pieces)

.PHONY: attach
attach: $(attach_files) ## the modules that read a process from outside

define attach_rules
dist/attach-$(1).wasm $(if $(filter wasm64,$(3)),dist/attach-$(1)-large.wasm) &: $$(attach_sources) $$(wildcard src/*.h) src/sources.mk wasm/attach.mk $(call image_made_from,$(2))
	@echo "dist/attach-$(1)"
	@work=build/image/attach-$(1).$$$$$$$$ && mkdir -p dist $$$$work && \
	 $$(EMCC) $$(attach_cflags) $$(image_width_$(3)) -sSIDE_MODULE=2 -sWASM_BIGINT -sBINARYEN_EXTRA_PASSES=$(attach_pieces) -Isrc -I$$(image_$(2)) \
	 $$(attach_sources) -o $$$$work/linked.wasm && \
	 $(if $(filter wasm64,$(3)),$$(attach_optimize) --table64-lowering $$$$work/linked.wasm -o $$$$work/large.wasm && mv $$$$work/large.wasm dist/attach-$(1)-large.wasm &&) \
	 $$(attach_optimize) $(if $(filter wasm64,$(3)),--table64-lowering --memory64-lowering) $$$$work/linked.wasm -o $$$$work/attach.wasm && \
	 mv $$$$work/attach.wasm dist/attach-$(1).wasm && rm -rf $$$$work
endef
$(foreach v,$(attach_variants),$(eval $(call attach_rules,$(v),$(call image_part,1,$(v)),$(call image_part,2,$(v)))))
