/* Lua 5.3 makes its hash seed of addresses as well, which depend on the image and on the length of
** the first message. The same messages shall make the same heap: in lstate.c this stands in the
** place of the hash of those (image.mk). */
#include <stddef.h>

unsigned int image_hash_of_addresses(const char *addresses, size_t bytes, unsigned int seed);

unsigned int image_hash_of_addresses(const char *addresses, size_t bytes, unsigned int seed) {
  (void)addresses, (void)bytes;
  return seed;
}
