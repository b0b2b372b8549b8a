# What stock processes load, whose image has no membuddy of its own, and the checks that native and pure share.

build/generated/checks_source.h: src/checks.lua scripts/pack-lua.js
	@node scripts/pack-lua.js $< $@
