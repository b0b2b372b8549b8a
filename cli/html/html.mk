# The pages: dist/html/report.html (what `membuddy export --format html` fills in) and dist/html/site (what
# `membuddy serve` offers).

html_sources := $(wildcard cli/*.js cli/export/*.js cli/html/*) LICENSE package-lock.json

.PHONY: html
html: dist/html/site/index.html ## the page of reports, and the page that a memory is dropped on

dist/html/site/index.html: $(html_sources) $(attach_files) | $(NODE_MODULES_READY)
	@echo "dist/html"
	@node cli/html/build.js
