/*
** Files as an aos process knows them: the host serves Arweave's data under /data, /tx, /block and
** so on.
**
** This header is included before Lua's io, auxiliary and package libraries, so that what they open
** and read goes through the loader's asynchronous imports.
*/
#ifndef weavedrive_h
#define weavedrive_h

#include <stdio.h>

FILE *weavedrive_fopen(const char *name, const char *mode);
size_t weavedrive_fread(void *to, size_t item_bytes, size_t items, FILE *file);
int weavedrive_fclose(FILE *file);

#if !defined(weavedrive_c)
#define fopen  weavedrive_fopen
#define fread  weavedrive_fread
#define fclose weavedrive_fclose
#endif

#endif
