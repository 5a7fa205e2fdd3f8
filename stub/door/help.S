/*
 * The help pages, which stub/build.py has made of the command line's own declarations: pairs of texts, the words that
 * name a command and its page, each ended by a NUL.
 */
	.section .rodata
	.global help_pages, help_pages_end
	.hidden help_pages, help_pages_end
help_pages:
	.incbin "build/made/help.bin"
help_pages_end:
	.byte 0
	.section .note.GNU-stack,"",%progbits
