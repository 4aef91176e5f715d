// SPDX-License-Identifier: GPL-2.0-or-later
/* Values of settings: their types, ranges and words. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "priv/config_internal.h"

static const char *type_name(const config_setting_t *setting)
{
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_GROUP:
		return "a group { ... }";
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "a number";
	case CONFIG_TYPE_FLOAT:
		return "a number with a point";
	case CONFIG_TYPE_STRING:
		return "a string";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ... ]";
	default:
		return "a list ( ... )";
	}
}

/* Elements of arrays have no name of their own. */
static const char *name_of(const config_setting_t *setting)
{
	while (setting && !config_setting_name(setting))
		setting = config_setting_parent(setting);
	return setting ? config_setting_name(setting) : "?";
}

bool moat_value_string(struct moat_reader *reader, config_setting_t *setting,
		       const char **value)
{
	if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
		moat_reader_wrong(reader, setting, "%s is %s, a string was expected",
				  name_of(setting), type_name(setting));
		return false;
	}
	*value = config_setting_get_string(setting);
	return true;
}

bool moat_value_bool(struct moat_reader *reader, config_setting_t *setting, bool *value)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL) {
		moat_reader_wrong(reader, setting, "%s is %s, true or false was expected",
				  name_of(setting), type_name(setting));
		return false;
	}
	*value = config_setting_get_bool(setting);
	return true;
}

bool moat_value_number(struct moat_reader *reader, config_setting_t *setting,
		       uint64_t low, uint64_t high, uint64_t *value)
{
	int type = config_setting_type(setting);
	long long number;

	if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
		moat_reader_wrong(reader, setting, "%s is %s, a number was expected",
				  name_of(setting), type_name(setting));
		return false;
	}
	number = config_setting_get_int64(setting);
	if (number < 0 || (uint64_t)number < low || (uint64_t)number > high) {
		moat_reader_wrong(reader, setting,
				  "%s is %lld, it may be %" PRIu64 " to %" PRIu64,
				  name_of(setting), number, low, high);
		return false;
	}
	*value = number;
	return true;
}

bool moat_value_number_or(struct moat_reader *reader, config_setting_t *setting,
			  const char *word, uint64_t low, uint64_t high, uint64_t *value,
			  bool *is_word)
{
	int type = config_setting_type(setting);
	const char *text = config_setting_get_string(setting);

	*is_word = type == CONFIG_TYPE_STRING && !strcmp(text, word);
	*value = 0;
	if (*is_word)
		return true;
	if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64)
		return moat_value_number(reader, setting, low, high, value);
	moat_reader_wrong(reader, setting,
			  "%s is %s%s%s, expected: \"%s\", or a number from %" PRIu64
			  " to %" PRIu64,
			  name_of(setting), text ? "\"" : "",
			  text ? text : type_name(setting), text ? "\"" : "", word, low,
			  high);
	return false;
}

void moat_value_strings(struct moat_reader *reader, config_setting_t *setting,
			bool (*fn)(struct moat_reader *reader, config_setting_t *setting,
				   const char *text, void *arg),
			void *arg)
{
	const char *text = "";

	if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
		fn(reader, setting, config_setting_get_string(setting), arg);
		return;
	}
	if (!config_setting_is_array(setting) && !config_setting_is_list(setting)) {
		moat_reader_wrong(
			reader, setting,
			"%s is %s, a string or an array of strings was expected",
			name_of(setting), type_name(setting));
		return;
	}
	if (!config_setting_length(setting))
		moat_reader_wrong(reader, setting, "%s is empty", name_of(setting));
	for (int i = 0; i < config_setting_length(setting); i++) {
		config_setting_t *element = config_setting_get_elem(setting, i);

		if (moat_value_string(reader, element, &text) &&
		    !fn(reader, element, text, arg))
			return;
	}
}

bool moat_value_bytes(struct moat_reader *reader, config_setting_t *setting,
		      uint64_t *value)
{
	static const char units[] = "KMGT";
	unsigned long long number;
	const char *text = "", *unit;
	unsigned int shift;
	char *end;

	if (!moat_value_string(reader, setting, &text))
		return false;
	number = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	shift = unit ? 10 * (unit - units + 1) : 0;
	if (text[0] < '1' || text[0] > '9' || !unit || end[1] ||
	    number > UINT64_MAX >> shift) {
		moat_reader_wrong(reader, setting,
				  "%s is \"%s\", a number with K, M, G or T was expected "
				  "(\"100G\")",
				  name_of(setting), text);
		return false;
	}
	*value = (uint64_t)number << shift;
	return true;
}

bool moat_value_word(struct moat_reader *reader, config_setting_t *setting,
		     const char *const *words, unsigned int n, unsigned int *index)
{
	char expected[128] = "";
	size_t used = 0;
	const char *text = "";

	if (!moat_value_string(reader, setting, &text))
		return false;
	for (*index = 0; *index < n; (*index)++) {
		if (!strcmp(text, words[*index]))
			return true;
	}
	for (unsigned int i = 0; i < n && used < sizeof(expected); i++)
		used += snprintf(expected + used, sizeof(expected) - used, "%s%s",
				 i ? " | " : "", words[i]);
	moat_reader_wrong(reader, setting, "%s is \"%s\", expected: %s", name_of(setting),
			  text, expected);
	return false;
}

void moat_unknown_key(struct moat_reader *reader, config_setting_t *setting,
		      const char *where, const char *const *known, size_t n)
{
	const char *name = config_setting_name(setting);
	const char *close = moat_did_you_mean(name, known, n);

	if (close)
		moat_reader_wrong(reader, setting,
				  "unknown key \"%s\" in %s, did you mean \"%s\"?", name,
				  where, close);
	else
		moat_reader_wrong(reader, setting, "unknown key \"%s\" in %s", name,
				  where);
}
