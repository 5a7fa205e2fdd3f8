#include "foreign/machines.h"

#include "base/system.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

/* tmprun/elf/machines.py has the same. */
static const struct {
	uint16_t number;
	uint8_t class, order;
	const char *name, *also_run_by;
} machines[] = {
	{EM_X86_64, ELFCLASS64, ELFDATA2LSB, "x86_64", NULL}, {EM_AARCH64, ELFCLASS64, ELFDATA2LSB, "aarch64", NULL},
	{EM_386, ELFCLASS32, ELFDATA2LSB, "i386", "x86_64"},  {EM_ARM, ELFCLASS32, ELFDATA2LSB, "armhf", "aarch64"},
	{EM_X86_64, ELFCLASS32, ELFDATA2LSB, "x32", NULL},    {EM_RISCV, ELFCLASS64, ELFDATA2LSB, "riscv64", NULL},
	{EM_PPC64, ELFCLASS64, ELFDATA2LSB, "ppc64le", NULL}, {EM_S390, ELFCLASS64, ELFDATA2MSB, "s390x", NULL},
	{258, ELFCLASS64, ELFDATA2LSB, "loongarch64", NULL},
};

uint64_t machine_number(const uint8_t *head, const uint8_t *at, unsigned size)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < size; i++)
		value = value << 8 | at[head[EI_DATA] == ELFDATA2MSB ? i : size - 1 - i];
	return value;
}

uint16_t machine_of(const uint8_t head[MACHINE_HEAD])
{
	return (uint16_t)machine_number(head, head + offsetof(Elf64_Ehdr, e_machine), 2);
}

const char *machine_name(const uint8_t head[MACHINE_HEAD])
{
	for (size_t i = 0; i < COUNT(machines); i++)
		if (machines[i].number == machine_of(head) && machines[i].class == head[EI_CLASS] && machines[i].order == head[EI_DATA])
			return machines[i].name;
	return NULL;
}

bool machine_runs(const char *name, const char *here)
{
	if (strcmp(name, here) == 0)
		return true;
	for (size_t i = 0; i < COUNT(machines); i++)
		if (strcmp(machines[i].name, name) == 0)
			return machines[i].also_run_by && strcmp(machines[i].also_run_by, here) == 0;
	return false;
}
