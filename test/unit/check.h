/*
** check: claims, and a count of those that hold.
**
** A test is a sentence and a function. The function checks as often as it
** likes; the first check that fails says why the claim does not hold, the
** others are only counted. What is printed is what scripts/test.js reads: a
** line a claim, and `N passed, N failed, N skipped` at the end.
*/
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>

#if defined(__GNUC__)
#define CHECK_FORMAT(at) __attribute__((format(printf, at, at + 1)))
#else
#define CHECK_FORMAT(at)
#endif

typedef struct {
  const char *claim;
  void (*run)(void);
} test;

/* Notes a failure of the running test; returns 0. */
int check_failure(const char *file, int line, const char *format, ...) CHECK_FORMAT(3);
/* True if `holds`; else what follows, which is read only then, says why the claim fails. */
static inline int check_holds(int holds) { return holds; }
#define CHECK(holds, ...)                                                                          \
  (check_holds((holds) ? 1 : 0) ? 1 : check_failure(__FILE__, __LINE__, __VA_ARGS__))

/* True once a check of the running test failed: a loop over thousands may stop. */
int check_failed(void);

/* Marks the running claim as one that is known not to hold yet: it counts as skipped, with the
** reason, as long as it fails, and as failed once it holds. */
void check_is_open(const char *why);

/* A line that explains, for the log. */
void check_note(const char *format, ...) CHECK_FORMAT(1);

/* The value of an environment variable; `otherwise` where it is not set. */
unsigned long check_setting(const char *name, unsigned long otherwise);

/* A clock that only goes forward, in milliseconds. */
double check_now_ms(void);

/* Runs the tests whose claim contains `only` (NULL: all), without the closing line. */
void check_run(const test *tests, size_t count, const char *only);
/* Begins and ends a claim that is no entry of a table. */
void check_begin(const char *claim);
void check_end(void);
/* Prints the closing line; returns the exit code of the program. */
int check_close(void);

/* The whole `main` of a test program. */
#define CHECK_MAIN(tests)                                                                          \
  int main(int argc, char **argv) {                                                                \
    check_run(tests, sizeof tests / sizeof *tests, argc > 1 ? argv[1] : NULL);                     \
    return check_close();                                                                          \
  }

/* Numbers that look random and are the same everywhere: xorshift64*. */
typedef struct {
  unsigned long long state;
} dice;
dice dice_of(unsigned long long seed);
/* From 0 to `limit` - 1; 0 for a limit of 0. */
unsigned long dice_roll(dice *d, unsigned long limit);

#endif
