# The pages: dist/html/report.html (what `membuddy export --format html` fills in) and dist/html/site (what
# `membuddy serve` offers).

html_products := dist/html/report.html $(addprefix dist/html/site/,index.html page.js worker.js style.css report.html LICENSES.txt $(notdir $(attach_files)))
html_sources := $(wildcard cli/*.js cli/export/*.js cli/html/*) LICENSE package-lock.json

.PHONY: html
html: $(html_products) ## the page of reports, and the page that a memory is dropped on

$(html_products) &: $(html_sources) $(attach_files) | $(NODE_MODULES_READY)
	@echo "dist/html"
	@node cli/html/build.js
