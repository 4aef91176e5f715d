// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the proposals of both phases share.
 */
#include "ike/mismatch.h"

#include <stdio.h>

const char *moat_life_type(struct moat_life *life, uint64_t type)
{
	if (type != MOAT_LIFE_SECONDS && type != MOAT_LIFE_KILOBYTES)
		return "a life type that is neither seconds nor kilobytes";
	life->type = type;
	return NULL;
}

const char *moat_life_duration(struct moat_life *life, uint64_t duration)
{
	uint64_t *slot =
		life->type == MOAT_LIFE_SECONDS ? &life->seconds : &life->kilobytes;

	if (!life->type)
		return "a life duration without a life type before it";
	life->type = 0;
	if (duration == 0)
		return "a life duration of 0";
	/* It would be replaced all the time. */
	if (slot == &life->seconds && duration < MOAT_LIFE_MIN)
		return "a life duration of less than 10 seconds";
	if (slot == &life->kilobytes && duration < MOAT_LIFE_KB_MIN)
		return "a life duration of less than 10 kilobytes";
	if (!moat_keep(slot, duration))
		return "two different life durations of one type";
	return NULL;
}

uint64_t moat_life_shorter(uint64_t ours, uint64_t theirs)
{
	if (ours == 0 || theirs == 0)
		return ours ? ours : theirs;
	return ours < theirs ? ours : theirs;
}

uint32_t moat_life_seconds(uint32_t ours, uint64_t theirs)
{
	uint64_t seconds = moat_life_shorter(ours, theirs);

	return seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

bool moat_keep(uint64_t *slot, uint64_t value)
{
	if (*slot != 0 && *slot != value)
		return false;
	*slot = value;
	return true;
}

void moat_keep_attr(const char **bad, uint64_t *slot, const struct moat_attr *attr)
{
	if (attr->value == 0)
		*bad = "an attribute of value 0";
	else if (!moat_keep(slot, attr->value))
		*bad = "two different values of one attribute";
}

void moat_group_print(uint64_t number, char *out, size_t size)
{
	enum moat_group group = moat_group_from_number(number);

	if (group != MOAT_GROUP_NONE || !number)
		snprintf(out, size, "%s", moat_group_name(group));
	else
		snprintf(out, size, "group %llu", (unsigned long long)number);
}

void moat_explain_pair(struct moat_mismatch *why, struct moat_text *t,
		       const char *attribute, const char *offered, const char *ours)
{
	struct moat_difference *diff = &why->diff[why->n_diff];

	if (why->n_diff < MOAT_DIFFERENCES_MAX) {
		diff->attribute = attribute;
		snprintf(diff->offered, sizeof(diff->offered), "%s", offered);
		snprintf(diff->ours, sizeof(diff->ours), "%s", ours);
		why->n_diff++;
	}
	moat_text_add(t, "; %s: offered %s, we have %s", attribute, offered, ours);
}
