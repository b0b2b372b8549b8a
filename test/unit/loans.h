/*
** loans: the test double of src/borrow.c.
**
** It counts what is lent and not yet returned, and may be told to refuse. A
** program that links it has no other lender.
*/
#ifndef LOANS_H
#define LOANS_H

#include <stddef.h>

/* Loans that were not returned. */
size_t loans_open(void);
/* Times that memory was asked for since the last `loans_refuse`. */
unsigned long loans_requests(void);
/* The most bytes that were lent at once since the last `loans_refuse`. */
size_t loans_peak_bytes(void);
/* Refuses every request from the `from`th on, counted from now; 0: none. */
void loans_refuse(unsigned long from);
/* Refuses that one alone: a large one, and smaller ones find room. */
void loans_refuse_one(unsigned long number);

#endif
