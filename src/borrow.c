#include "borrow.h"

#include <stdlib.h>

void *borrow(size_t bytes) { return malloc(bytes ? bytes : 1); }
void *borrow_more(void *loan, size_t bytes) { return realloc(loan, bytes ? bytes : 1); }
void borrow_return(void *loan) { free(loan); }
