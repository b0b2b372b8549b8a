/* `os.execute` finds this in the place of the C library's, which has the loader run commands in the
** shell of the machine that a process runs on: that is nobody's to do. */
#include <errno.h>
#include <stdlib.h>

int system(const char *command) {
  if (command == NULL) return 0; /* there is no shell */
  errno = ENOSYS;
  return -1;
}
