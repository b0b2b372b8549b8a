/* No code. */
typedef int nothing;
