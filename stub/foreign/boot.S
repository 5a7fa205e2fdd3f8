/* stub/foreign/boot.py as a string: what Python runs first (foreign/python.c). */
	.section .rodata
	.global python_boot
	.hidden python_boot
python_boot:
	.incbin "stub/foreign/boot.py"
	.byte 0
	.section .note.GNU-stack,"",%progbits
