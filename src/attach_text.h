/*
** text: what is handed to the host piece by piece, through one buffer.
*/
#ifndef MEMBUDDY_ATTACH_TEXT_H
#define MEMBUDDY_ATTACH_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Borrows the buffer; 0 without memory. */
int text_begin(void);
/* Gives what is left to the host. */
void text_flush(void);
void text_end(void);
/* Bytes that were written so far. */
double text_bytes(void);

/* What one call of `text_room` makes room for. */
#define TEXT_ROOM 512u
/* Where the next bytes go; `text_done` says where they ended. */
char *text_room(void);
void text_done(const char *end);

/* At most ten digits; returns where they end. */
char *text_put_number(char *at, uint32_t number);

void text_write(const char *words);
void text_write_number(uint32_t number);
/* Inside of a JSON string: at most `limit` bytes, and an ellipsis where there are more. Bytes that
** are no UTF-8 are readable as `\xNN`. */
void text_write_escaped(const char *bytes, size_t length, size_t limit);

#endif
