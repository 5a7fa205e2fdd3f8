/* Whether a retargeted file comes from the image: the one place that knows what retargeting changes besides tree/retarget. */
#ifndef TMPRUN_DOOR_VERIFY_RETARGET_H
#define TMPRUN_DOOR_VERIFY_RETARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "tree/retarget.h"

/* Whether the `length` bytes at `at` of the retargeted file behind `fd` come from these of the image; and its size. */
bool retargeted_from(const struct retarget *retarget, uint32_t number, int fd, uint64_t at, const uint8_t *bytes, uint32_t length);
uint64_t retargeted_size(const struct retarget *retarget, uint32_t number);

#endif
