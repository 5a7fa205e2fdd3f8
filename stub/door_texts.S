/*
 * stub/boot.py, and the help pages that stub/build.py has made of the command line's own declarations: pairs of texts,
 * the words that name a command and its page, each ended by a NUL. A byte more ends them.
 */
	.section .rodata
	.global door_boot, door_pages, door_pages_end
	.hidden door_boot, door_pages, door_pages_end
door_boot:
	.incbin "stub/boot.py"
	.byte 0
door_pages:
	.incbin "build/help.bin"
door_pages_end:
	.byte 0
	.section .note.GNU-stack,"",%progbits
