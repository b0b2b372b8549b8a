/*
** The stack pointer, for the loader. The first two do what the C library's do; the third takes the
** loader's text arguments to the heap (arguments.c). All three stand in one object there, so all
** three stand here.
**
** `handle` begins with the whole stack. A message that the host breaks off (no gas is left, a call
** to the host throws) gives its own part of it not back, and the instance takes more messages: the
** memory of a process is put back for them, the stack pointer, a global, is not. When the answer to
** a wait is there, Asyncify leaves the setting out.
*/
	.globl	_emscripten_stack_restore
	.globl	emscripten_stack_get_current
	.globl	_emscripten_stack_alloc
	.globl	handle
	.export_name	handle, handle

#ifdef __wasm64__
#define POINTER i64
#else
#define POINTER i32
#endif

	.globaltype	__stack_pointer, POINTER
	.functype	image_allocate_argument (POINTER) -> (POINTER)
	.functype	image_handle (POINTER, POINTER) -> (POINTER)

_emscripten_stack_restore:
	.functype	_emscripten_stack_restore (POINTER) -> ()
	local.get	0
	global.set	__stack_pointer
	end_function

emscripten_stack_get_current:
	.functype	emscripten_stack_get_current () -> (POINTER)
	global.get	__stack_pointer
	end_function

_emscripten_stack_alloc:
	.functype	_emscripten_stack_alloc (POINTER) -> (POINTER)
	local.get	0
	call	image_allocate_argument
	end_function

handle:
	.functype	handle (POINTER, POINTER) -> (POINTER)
	POINTER.const	__stack_high
	global.set	__stack_pointer
	local.get	0
	local.get	1
	call	image_handle
	end_function
