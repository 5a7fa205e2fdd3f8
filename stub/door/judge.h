/* Whether the kernel can start what an image begins with, and if not why, in words that help: one judgement for a start that has
 * failed and for `tmprun info`, which asks before. */
#ifndef TMPRUN_DOOR_JUDGE_H
#define TMPRUN_DOOR_JUDGE_H

#include "base/environment.h"
#include "base/fault.h"

/* Look at AppRun in the AppDir `tree`: 0 when nothing is in its way here, else -1 and the reason. Nothing is executed. */
int judge_apprun(const struct environment *environment, const char *tree, struct fault *fault);

#endif
