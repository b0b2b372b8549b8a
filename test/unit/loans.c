#include "loans.h"

#include <limits.h>
#include <stdlib.h>

#include "borrow.h"

static size_t open_count, open_bytes, peak_bytes;
static unsigned long requests, refuse_from, refuse_to;

/* In front of every loan: its size. */
typedef union {
  size_t bytes;
  max_align_t alignment;
} loan_header;

size_t loans_open(void) { return open_count; }
unsigned long loans_requests(void) { return requests; }
size_t loans_peak_bytes(void) { return peak_bytes; }

static void refuse(unsigned long from, unsigned long to) {
  requests = 0;
  peak_bytes = open_bytes;
  refuse_from = from;
  refuse_to = to;
}

void loans_refuse(unsigned long from) { refuse(from, ULONG_MAX); }
void loans_refuse_one(unsigned long number) { refuse(number, number); }

static int is_refused(void) {
  requests++;
  return refuse_from && requests >= refuse_from && requests <= refuse_to;
}

static void *lend(loan_header *old, size_t bytes) {
  size_t old_bytes = old ? old->bytes : 0;
  loan_header *loan = realloc(old, sizeof *loan + bytes);
  if (loan == NULL) return NULL;
  loan->bytes = bytes;
  open_count += old == NULL;
  open_bytes += bytes - old_bytes;
  if (open_bytes > peak_bytes) peak_bytes = open_bytes;
  return loan + 1;
}

void *borrow(size_t bytes) { return is_refused() ? NULL : lend(NULL, bytes); }

void *borrow_more(void *loan, size_t bytes) {
  if (is_refused()) return NULL;
  return lend(loan ? (loan_header *)loan - 1 : NULL, bytes);
}

void borrow_return(void *loan) {
  if (loan == NULL) return;
  loan_header *header = (loan_header *)loan - 1;
  open_count--;
  open_bytes -= header->bytes;
  free(header);
}
