# What processes load whose image has no membuddy of its own:
#   dist/membuddy.lua              the module in one file
#   dist/blueprints/membuddy.lua   for .load-blueprint membuddy
#   dist/apm/                      the package for apm.install("membuddy"), and the message that publishes it
# and the checks that native and pure share, as data for the native library.

stock_sources  := src/membuddy.lua src/checks.lua src/handlers.lua src/stock.lua src/apm.md src/membuddy.h
stock_products := dist/membuddy.lua dist/blueprints/membuddy.lua $(addprefix dist/apm/,apm.json main.lua README.md publish.json publish-1.json)

build/generated/checks_source.h: src/checks.lua scripts/pack-lua.js
	@node scripts/pack-lua.js $< $@

ifneq ($(wildcard src/membuddy.lua),)

.PHONY: stock
stock: $(stock_products) ## for processes of other images: the module in Lua, its blueprint, its package

$(stock_products) &: $(stock_sources) scripts/stock.js scripts/pack-lua.js package.json
	@echo "dist/blueprints/membuddy.lua"
	@node scripts/stock.js dist

all: stock
test: stock

endif
