/*
** The buffer into which the C stack is unwound while the process waits for the host: as large as
** the deepest C stack that Lua allows needs it, by measurement (test/image-stack.test.js).
*/
#ifndef asyncify_bytes_h
#define asyncify_bytes_h

#define IMAGE_ASYNCIFY_BYTES 196608

#endif
