/*
 * The licence notices of what is linked into this program, so that every copy of it, and every bundle, carries them:
 * `readelf -p .notices app` prints them. Not allocated: costs bytes in the file, none in memory.
 */
	.section .notices,"R",%progbits
	.incbin "THIRD-PARTY-LICENSES"
	.section .note.GNU-stack,"",%progbits
