# MemBuddy. `make demo` and `make test` need a C compiler, make and Node.js 18 to 22; the rest is fetched.

# Settings: change them here, or say them on the command line (make test config=release).

config ?= sanitize
# what native code is built as: debug, release or sanitize (address and undefined behaviour)
TOOLCHAIN ?= auto
# auto: an Emscripten SDK on PATH if it is new enough, else a private one; sdk or private: only that
LUA_DIR ?=
# directories with Lua sources of your own; empty: upstream's 5.4.7 and 5.3.6
AOS_PROCESS ?=
# directory with aos's own Lua (aos/process of a checkout); empty: what a published image carries
NODE_VERSIONS ?= 18 20 22
# major versions of Node.js that the tests run under
jobs ?= $(shell nproc)
# how much runs at once

# Nothing below needs editing.

ROOT := $(CURDIR)
LUA_VERSIONS := 5.4.7 5.3.6
LUA_54 := build/lua-5.4.7/src
LUA_53 := build/lua-5.3.6/src
NODE = "$(or $(shell scripts/node.sh supported),false)" # which has said why there is none
NODE_FLAGS := --experimental-wasm-memory64

EMCC := $(ROOT)/build/toolchain/bin/emcc
EMAR := $(ROOT)/build/toolchain/bin/emar
WASM_OPT := $(ROOT)/build/toolchain/bin/wasm-opt
LLVM_NM := $(ROOT)/build/toolchain/bin/llvm-nm
CLANG := $(ROOT)/build/toolchain/bin/clang
CLANG_FORMAT := $(ROOT)/build/toolchain/bin/clang-format

WARNINGS := -Wall -Wextra -Werror
CFLAGS_debug := -O0 -g
CFLAGS_release := -O2 -DNDEBUG
CFLAGS_sanitize := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
NATIVE_CFLAGS = -std=c11 $(WARNINGS) $(CFLAGS_$(config))
ifeq ($(CFLAGS_$(config)),)
$(error config='$(config)' is not known; it is debug, release or sanitize)
endif

# What the rules of wasm/image.mk and test/native.mk wait for (order-only: their contents matter, not their age; but for
# the toolchain's version).
TOOLCHAIN_VERSION := build/toolchain/version
TOOLCHAIN_READY := build/toolchain/ready
LUA_READY := $(LUA_VERSIONS:%=build/lua-%/.source)
SPECIMENS_READY := build/specimens/.ready
NODE_MODULES_READY := node_modules/.package-lock.json

export TOOLCHAIN LUA_DIR AOS_PROCESS
# npm's cache, where no home is to be written to: in a container under another user's number it is / or none.
ifeq ($(shell [ -w "$${HOME:-}" ] || echo none),none)
export npm_config_cache ?= $(ROOT)/build/npm
endif
unexport CDPATH # or the scripts' cd speaks
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += -j$(jobs) --no-builtin-rules --no-print-directory

ifneq ($(filter clean distclean,$(MAKECMDGOALS)),)
.NOTPARALLEL: # make clean all: not beside each other
endif

# What make, the shell or emcc would take for theirs in a path.
ifneq ($(shell [[ $$(pwd -P) != *[][:space:]\"\'\`\\$$\&\;\|\<\>\(\)\{\}[:*?%]* ]] || echo yes),)
$(error the path '$(ROOT)' holds a space, a quote or one of : $$ & ; | < > ( ) { } [ ] * ? % \, which make, the shell and emcc cannot take; move the clone)
endif

.PHONY: all help demo test bench check images archives sample types native-tests toolchain lua specimens test-tools clean distclean FORCE
.PHONY: check-format check-layers check-types check-warnings

all: images archives attach html sample types ## what stands in dist/: the images, the archives for the official builder, the modules for the outside

-include wasm/image.mk wasm/attach.mk wasm/stock.mk cli/html/html.mk test/native.mk

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Settings (make TARGET name=value):"
	@awk 'FNR == 1 { open = 1 } /^# Nothing below/ { open = 0 } !open { next } \
	  /^[A-Za-z_]+ \?=/ { name = $$1; next } name && /^# / { printf "  %-14s %s\n", name, substr($$0, 3); name = "" }' \
	  $(wildcard Makefile wasm/image.mk)

demo: images $(SPECIMENS_READY) $(NODE_MODULES_READY) ## builds the image, runs a real aos process in it, prints where its memory went
	@$(NODE) $(NODE_FLAGS) scripts/demo.js dist/membuddy-lua54-wasm64$(image_suffix).wasm

test: images archives attach html sample types native-tests $(SPECIMENS_READY) $(NODE_MODULES_READY) test-tools ## every suite: native under sanitizers, images under each Node.js
	@JOBS=$(jobs) node scripts/test.js $(NODE_VERSIONS)

bench: images attach $(SPECIMENS_READY) $(NODE_MODULES_READY) ## speed and size against the stock image and the published tool
	@$(NODE) $(NODE_FLAGS) scripts/bench.js

check: check-format check-layers check-types check-warnings ## format, layers, types, and no warning from gcc, clang and emcc

sample: dist/sample.dat.gz ## the memory that `membuddy sample` gives

dist/sample.dat.gz: dist/membuddy-lua54-wasm64.wasm scripts/sample.js | $(NODE_MODULES_READY)
	@echo "$@"
	@$(NODE) $(NODE_FLAGS) --no-warnings scripts/sample.js $< $@

types: dist/types/index.d.ts ## types of the npm package, told from its JSDoc

dist/types/index.d.ts: $(wildcard cli/*.js cli/*/*.js) tsconfig.json tsconfig.types.json | $(NODE_MODULES_READY)
	@echo "$@"
	@rm -rf dist/types
	@node node_modules/typescript/bin/tsc -p tsconfig.types.json

toolchain: $(TOOLCHAIN_READY) ## Emscripten under build/toolchain (build/toolchain/env.sh for a shell)

lua: $(LUA_READY) ## Lua's sources under build/

specimens: $(SPECIMENS_READY) ## published aos images under build/specimens

clean: ## forgets what was built, keeps what was downloaded
	rm -rf dist build/{generated,native,image,check,test,bench,reproducible}

distclean: ## forgets downloads and toolchain too
	rm -rf dist build node_modules

# The scripts know at once when nothing is to be done, and touch nothing then: what depends on them is not redone.
$(TOOLCHAIN_READY): FORCE
	@scripts/toolchain.sh

$(TOOLCHAIN_VERSION): $(TOOLCHAIN_READY) ;

$(LUA_READY) &: FORCE
	@scripts/lua-sources.sh $(LUA_VERSIONS)

$(SPECIMENS_READY): FORCE
	@scripts/specimens.sh && { [ -e $@ ] || touch $@; } # which goes with those that are replaced

$(NODE_MODULES_READY): package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm is not on PATH; install it beside Node.js 18 to 22" >&2; exit 1; }
	@mkdir -p build && exec 9>build/npm.lock && flock 9 && { [ $@ -nt package-lock.json ] && [ $@ -nt package.json ] || npm ci --include=dev --include=optional --no-audit --no-fund; } && touch $@

test-tools: $(NODE_MODULES_READY)
	@scripts/test-tools.sh

# --- make check -----------------------------------------------------------------------------------------------------

C_FILES := $(shell find src wasm test -name '*.[ch]' 2>/dev/null | sort)
EMCC_ONLY := $(filter src/attach%.c src/platform_wasm.c wasm/%,$(C_FILES))
NATIVE_ONLY := $(filter src/platform_native.c test/%,$(C_FILES))
LUA_54_ONLY := $(filter %_54.c,$(C_FILES))
LUA_53_ONLY := $(filter %_53.c,$(C_FILES))

check-format: $(TOOLCHAIN_READY)
	@scripts/format.sh --check $(C_FILES)

format: $(TOOLCHAIN_READY) ## formats the C files in place
	@scripts/format.sh $(C_FILES)

check-layers:
	@scripts/layers.sh

check-types: $(NODE_MODULES_READY)
	@node node_modules/typescript/bin/tsc --noEmit

# An object per compiler, Lua version and file, thrown away: the optimizer has warnings of its own.
compile_gcc = $(CC)
compile_clang = $(CLANG)
compile_wasm32 = $(EMCC)
compile_wasm64 = $(EMCC) --target=wasm64
checked_flags_wasm64 := -Wno-experimental # after -Wall: emcc warns of MEMORY64 itself
checked_native = $(filter-out $(EMCC_ONLY),$(filter %.c,$(C_FILES)))
checked_wasm = $(filter-out $(NATIVE_ONLY),$(filter %.c,$(C_FILES)))
checked_gcc = $(checked_native)
checked_clang = $(checked_native)
checked_wasm32 = $(checked_wasm)
checked_wasm64 = $(checked_wasm)

define check_rule # COMPILER LUA-VERSION-SHORT OTHER-SHORT
build/check/$(1)-lua$(2)/%.o: %.c | $(TOOLCHAIN_READY) $(LUA_READY) $(MEMBUDDY_GENERATED)
	@mkdir -p $$(@D)
	@$$(compile_$(1)) $$(if $$(filter wasm/%,$$<),-std=gnu11,-std=c11) $(WARNINGS) $$(checked_flags_$(1)) -O2 -MMD -MP -Isrc -Ibuild/generated -Iwasm/boot -Ibuild/image -Itest/unit -I$(LUA_$(2)) -c $$< -o $$@
check-warnings: $$(patsubst %.c,build/check/$(1)-lua$(2)/%.o,$$(filter-out $$(LUA_$(3)_ONLY),$$(checked_$(1))))
endef
$(foreach compiler,gcc clang wasm32 wasm64,$(eval $(call check_rule,$(compiler),54,53)) $(eval $(call check_rule,$(compiler),53,54)))
check-warnings:
-include $(shell find build/check -name '*.d' 2>/dev/null)
