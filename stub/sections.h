/* The ELF sections that AppImage tools write update information and signatures into, in the running stub itself. */
#ifndef TMPRUN_SECTIONS_H
#define TMPRUN_SECTIONS_H

extern const char section_update_information[1024];
extern const char section_signature[1024];
extern const char section_signing_key[8192];

#endif
